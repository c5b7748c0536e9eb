import SensorKit

/// ams-TAOS' TSL2561, an ambient light sensor with an eye for visible and infrared light, and one for infrared alone.
/// README.md has registers and formulae.
public struct TSL2561Driver: Driver {
    public static let name = "tsl2561"
    public static let summary = "ambient light (I2C, ams TSL2561)"
    public static let defaultInterval = Duration.seconds(5)

    static let fields = [
        Field(name: "illuminance_lux", type: .float), Field(name: "broadband_count", type: .int),
        Field(name: "infrared_count", type: .int),
    ]
    static let functions = [
        ControlFunction(name: "set_gain", parameters: [Field(name: "gain", type: .string)]),
        ControlFunction(
            name: "set_integration_time", parameters: [Field(name: "integration_time_ms", type: .float)]),
    ]
    /// With the pin ADDR SEL open, low, high.
    public static let i2cAddresses: [UInt8] = [0x39, 0x29, 0x49]
    public static let i2cIdentity = I2CIdentity.register(TSL2561Register.id) { TSL2561Package(id: $0) != nil }

    private let chip: I2CDevice
    private let type: SensorType
    private var gain: TSL2561Gain
    private var time: TSL2561Time
    /// What "auto" has found to fit.
    private var isGainHigh = true
    /// Asked anew after a fault: another chip may have been plugged in.
    private var package: TSL2561Package?

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields(Self.fields)
        try context.requireFunctions(among: Self.functions)
        context.warnOfSimilarAttributes(to: I2CDevice.attributes + ["gain", "integration_time_ms"])
        chip = try I2CDevice(context, addresses: Self.i2cAddresses)
        gain = try context.attributes.optional("gain")?.choice() ?? .auto
        time = try context.attributes.optional("integration_time_ms").map(TSL2561Time.init) ?? .longest
        type = context.type
    }

    public mutating func read() throws(SensorFault) -> [Measurement] {
        let package: TSL2561Package
        if let known = self.package { package = known } else { package = try identify() }
        self.package = nil
        if gain != .auto { isGainHigh = gain == .high }
        var counts = try measure()
        if gain == .auto, isGainHigh ? counts.isSaturated : counts.broadband < counts.limit / 20 {
            isGainHigh.toggle()
            counts = try measure()
        }
        self.package = package
        guard !counts.isSaturated else {
            throw SensorFault(
                """
                there is more light than can be measured with an integration time of \(time.milliseconds) ms and gain \
                '\(isGainHigh ? "high" : "low")'; less of them measures more
                """)
        }
        return [
            Measurement(
                type.select([
                    "illuminance_lux": .double(package.lux(counts)), "broadband_count": .int(Int64(counts.broadband)),
                    "infrared_count": .int(Int64(counts.infrared)),
                ]))
        ]
    }

    public mutating func control(_ call: ControlCall) throws(ControlError) {
        if call.function == "set_gain" {
            gain = try call.parameter("gain") { (reader) throws(ValidationError) in try reader.choice() }
        } else {
            time = try call.parameter("integration_time_ms", TSL2561Time.init)
        }
    }

    private func identify() throws(SensorFault) -> TSL2561Package {
        let id = try chip.register8(TSL2561Register.id)
        guard let package = TSL2561Package(id: id) else {
            throw SensorFault("\(chip.name) is no TSL2561: its id is \(hexadecimal(id)) instead of 0x1_ or 0x5_")
        }
        return package
    }

    /// Power on starts an integration, whose end nothing tells of but time.
    private func measure() throws(SensorFault) -> TSL2561Counts {
        try chip.setRegister8(TSL2561Register.control, to: 0)
        try chip.setRegister8(TSL2561Register.timing, to: time.rawValue | (isGainHigh ? 0x10 : 0))
        try chip.setRegister8(TSL2561Register.control, to: TSL2561Register.powerOn)
        pause(time.maximumDuration)
        let control = try chip.register8(TSL2561Register.control)
        guard control & TSL2561Register.powerOn == TSL2561Register.powerOn else {
            throw SensorFault("\(chip.name) is no TSL2561, or has lost its power: CONTROL says \(hexadecimal(control))")
        }
        let broadband = try chip.register16(TSL2561Register.data0, .littleEndian)
        let infrared = try chip.register16(TSL2561Register.data1, .littleEndian)
        try chip.setRegister8(TSL2561Register.control, to: 0)
        return TSL2561Counts(broadband: broadband, infrared: infrared, time: time, isGainHigh: isGainHigh)
    }
}

/// Addresses, with the bit that makes a byte a command; words have bit 5 as well (data sheet, "Command Register").
enum TSL2561Register {
    static let control: UInt8 = 0x80
    static let timing: UInt8 = 0x81
    static let id: UInt8 = 0x8A
    static let data0: UInt8 = 0xAC
    static let data1: UInt8 = 0xAE
    static let powerOn: UInt8 = 0x03
}
