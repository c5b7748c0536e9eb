import SensorKit

/// Sensirion's SHT30, SHT31 and SHT35, temperature and humidity at an I2C bus. README.md has commands and formulae.
public struct SHT31Driver: Driver {
    public static let name = "sht31"
    public static let summary = "temperature, humidity (I2C, Sensirion SHT30, SHT31, SHT35)"
    public static let defaultInterval = Duration.seconds(5)

    static let fields = [
        Field(name: "temperature_celsius", type: .float),
        Field(name: "humidity_percent", type: .float),
        Field(name: "heater", type: .bool),
    ]
    static let functions = [
        ControlFunction(name: "set_repeatability", parameters: [Field(name: "repeatability", type: .string)]),
        ControlFunction(name: "set_heater", parameters: [Field(name: "on", type: .bool)]),
    ]
    /// With the pin ADDR low, and high.
    public static let i2cAddresses: [UInt8] = [0x44, 0x45]

    /// Data sheet, "Sensor Performance", specified ranges.
    private static let temperatureRange = PhysicalRange("temperature", -40...125, "°C")

    private let chip: I2CDevice
    private let type: SensorType
    private var repeatability: SHT31Repeatability
    private var isHeaterWanted = false
    /// That it is such a chip, with its heater as wanted, is made sure of anew after a fault.
    private var isKnown = false

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields(Self.fields)
        try context.requireFunctions(among: Self.functions)
        context.warnOfSimilarAttributes(to: I2CDevice.attributes + ["repeatability"])
        chip = try I2CDevice(context, addresses: Self.i2cAddresses)
        type = context.type
        repeatability = try context.attributes.optional("repeatability")?.choice() ?? .high
    }

    public mutating func read() throws(SensorFault) -> [Measurement] {
        if !isKnown { try setUp() }
        isKnown = false
        try chip.write(repeatability.command)
        pause(repeatability.maximumDuration)
        let words = try SHT31Word.read(2, from: chip)
        let celsius = try Self.temperatureRange.checked(SHT31Word.celsius(words[0]), of: chip)
        let isHeaterOn = try status() & SHT31Status.heater != 0
        guard isHeaterOn == isHeaterWanted else {
            throw SensorFault(
                """
                \(chip.name): the heater is \(isHeaterOn ? "on" : "off") and was switched \
                \(isHeaterWanted ? "on" : "off"): the chip was without power, or somebody else sets it
                """)
        }
        isKnown = true
        return [
            Measurement(
                type.select([
                    "temperature_celsius": .double(celsius),
                    "humidity_percent": .double(SHT31Word.percent(words[1])),
                    "heater": .bool(isHeaterOn),
                ]))
        ]
    }

    /// What it is shows in its status: bits that are always 0, and a checksum.
    private func setUp() throws(SensorFault) {
        // It may have been left measuring by itself, when it knows few other commands.
        try chip.write(SHT31Command.break)
        pause(SHT31Command.duration)
        try chip.write(isHeaterWanted ? SHT31Command.heaterOn : SHT31Command.heaterOff)
        pause(SHT31Command.duration)
        let status = try status()
        guard status & SHT31Status.zeroes == 0 else {
            throw SensorFault(
                """
                \(chip.name) is no SHT31: its status is \(hexadecimalBytes(status)), with bits that an SHT31 never sets
                """)
        }
    }

    private func status() throws(SensorFault) -> UInt16 {
        try chip.write(SHT31Command.readStatus)
        return try SHT31Word.read(1, from: chip)[0]
    }

    public mutating func control(_ call: ControlCall) throws(ControlError) {
        switch call.function {
        case "set_repeatability":
            repeatability = try call.parameter("repeatability") { reader throws(ValidationError) in
                try reader.choice()
            }
        default:
            try heat(try call.parameter("on") { reader throws(ValidationError) in try reader.bool() })
        }
    }

    private mutating func heat(_ isOn: Bool) throws(ControlError) {
        do throws(SensorFault) {
            try chip.write(isOn ? SHT31Command.heaterOn : SHT31Command.heaterOff)
        } catch {
            throw .failed(error.reason)
        }
        pause(SHT31Command.duration)
        isHeaterWanted = isOn
    }

    /// It must not go on heating with nobody to switch it off.
    public mutating func stop() {
        // A chip that does not answer now cannot be helped.
        if isHeaterWanted { try? chip.write(SHT31Command.heaterOff) }
    }
}
