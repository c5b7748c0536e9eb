import SensorKit

/// Maxim's DS18B20, a thermometer at a 1-wire bus, through the kernel's driver `w1_therm`.
public struct DS18B20Driver: Driver {
    public static let name = "ds18b20"
    public static let summary = "temperature (1-wire, Maxim DS18B20)"
    public static let defaultInterval = Duration.seconds(10)

    static let fields = [Field(name: "temperature_celsius", type: .float)]
    static let functions = [
        ControlFunction(name: "set_resolution", parameters: [Field(name: "resolution", type: .int)])
    ]
    /// The first byte of the chip's number: DS18B20 and DS1822, which says the same less exactly.
    private static let families = ["28", "22"]
    private static let range = -55.0...125.0
    /// How far from 85 °C the last value may be for the next one to be believed that is just that.
    private static let plausibleStep = 10.0

    public static func sensors(of devices: KernelDevices) -> [KernelSensor] {
        devices.all(.oneWire).filter(isOurs).map { KernelSensor($0, attributes: ["device": .string($0.entry)]) }
    }

    private static func isOurs(_ device: KernelDevice) -> Bool { families.contains(String(device.entry.prefix(2))) }

    private let device: String?
    private let devices: KernelDevices
    private var resolution: Int?
    private var last: Double?

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields(Self.fields)
        try context.requireFunctions(among: Self.functions)
        context.warnOfSimilarAttributes(to: ["device", "resolution"])
        device = try context.attributes.optional("device").map(Self.number)
        resolution = try context.attributes.optional("resolution").map(Self.bits)
        devices = context.hardware.kernelDevices
    }

    private static func number(_ reader: DocumentReader) throws(ValidationError) -> String {
        let text = try reader.nonEmptyString().lowercased()
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].utf8.count == 2, parts[1].utf8.count == 12,
            parts.allSatisfy({ $0.allSatisfy(\.isHexDigit) })
        else {
            throw reader.error("'\(text.prefix(80))' is no number of a chip: expected one as \"28-0316a2795cff\"")
        }
        guard families.contains(String(parts[0])) else {
            throw reader.error("a chip of family \(parts[0]) is no DS18B20: its number begins with 28")
        }
        return text
    }

    private static func bits(_ reader: DocumentReader) throws(ValidationError) -> Int {
        Int(try reader.int(9...12))
    }

    public mutating func read() throws(SensorFault) -> [Measurement] {
        let chip = try find()
        var scratchpad = try ask(chip)
        // The chip may have forgotten it along with its power.
        if let resolution, scratchpad.resolution != resolution {
            try chip.set("resolution", to: "\(resolution)")
            scratchpad = try ask(chip)
        }
        let celsius = scratchpad.celsius
        guard Self.range.contains(celsius) else {
            throw SensorFault("\(chip.entry) says \(celsius) °C, which it cannot measure: -55 to 125")
        }
        let wasNear = last.map { abs($0 - celsius) <= Self.plausibleStep } ?? false
        guard celsius != DS18B20Scratchpad.powerOn || wasNear else {
            last = nil
            throw SensorFault(
                """
                \(chip.entry) says 85.0 °C, as it does when its power was gone and nothing is measured yet: has it enough \
                power?
                """)
        }
        last = celsius
        return [Measurement(["temperature_celsius": .double(celsius)])]
    }

    private func find() throws(SensorFault) -> KernelDevice {
        if let device { return try devices.find(device, in: .oneWire) }
        let chips = devices.all(.oneWire).filter(Self.isOurs)
        if chips.count == 1 { return chips[0] }
        if chips.isEmpty {
            throw SensorFault("there is no DS18B20 at a 1-wire bus; are the bus and the kernel's modules there?")
        }
        let list = chips.prefix(20).map(\.entry).joined(separator: ", ")
        throw SensorFault("there are \(chips.count) of them; the attribute 'device' says which: \(list)")
    }

    /// Has the kernel make it measure, which takes up to 0.75 s.
    private func ask(_ chip: KernelDevice) throws(SensorFault) -> DS18B20Scratchpad {
        guard chip.has("w1_slave") else {
            throw SensorFault("\(chip.entry) has no 'w1_slave': is the kernel's module w1_therm loaded?")
        }
        guard let line = try chip.lines("w1_slave").first else {
            throw SensorFault("\(chip.entry) does not answer: is it connected?")
        }
        do throws(SensorFault) {
            return try DS18B20Scratchpad(line)
        } catch {
            throw SensorFault("\(chip.entry): \(error)")
        }
    }

    public mutating func control(_ call: ControlCall) throws(ControlError) {
        let bits = try call.parameter("resolution", Self.bits)
        resolution = bits
    }
}
