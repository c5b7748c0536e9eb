import SensorKit

/// ams' TCS34725 (and TCS34721, 34723, 34727), a colour sensor. README.md has registers and formulae.
public struct TCS34725Driver: Driver {
    public static let name = "tcs34725"
    public static let summary = "colour, ambient light, colour temperature (I2C, ams TCS34725)"
    public static let defaultInterval = Duration.seconds(5)

    static let fields = [
        Field(name: "illuminance_lux", type: .float), Field(name: "colour_temperature_kelvin", type: .float),
        Field(name: "clear_count", type: .int), Field(name: "red_count", type: .int),
        Field(name: "green_count", type: .int), Field(name: "blue_count", type: .int),
    ]
    static let functions = [
        ControlFunction(name: "set_gain", parameters: [Field(name: "gain", type: .int)]),
        ControlFunction(
            name: "set_integration_time", parameters: [Field(name: "integration_time_ms", type: .float)]),
    ]
    public static let i2cAddresses: [UInt8] = [0x29]
    public static let i2cIdentity = I2CIdentity.register(TCS34725Register.id) {
        TCS34725Register.expectedIDs.contains($0)
    }

    private let chip: I2CDevice
    private let type: SensorType
    /// For what is in front of the sensor.
    private let glassFactor: Double
    private var settings = TCS34725Settings()
    /// Asked anew after a fault: another chip may have been plugged in.
    private var isKnown = false

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields(Self.fields)
        try context.requireFunctions(among: Self.functions)
        context.warnOfSimilarAttributes(
            to: I2CDevice.attributes + ["gain", "integration_time_ms", "glass_attenuation"])
        chip = try I2CDevice(context, addresses: Self.i2cAddresses)
        let attributes = context.attributes
        if let reader = try attributes.optional("gain") { try settings.setGain(reader) }
        if let reader = try attributes.optional("integration_time_ms") { try settings.setTime(reader) }
        glassFactor = try attributes.optional("glass_attenuation")?.number(in: 0.1...1_000) ?? 1
        type = context.type
    }

    public mutating func read() throws(SensorFault) -> [Measurement] {
        if !isKnown { try identify() }
        isKnown = false
        let counts = try measure()
        isKnown = true
        guard !counts.isSaturated(settings) else {
            throw SensorFault(
                """
                there is more light than can be measured with an integration time of \(settings.milliseconds) ms and a \
                gain of \(settings.gain); less of them measures more
                """)
        }
        return [Measurement(type.select(counts.values(settings, glassFactor: glassFactor)))]
    }

    public mutating func control(_ call: ControlCall) throws(ControlError) {
        var settings = settings
        do throws(ValidationError) {
            let parameters = DocumentReader(.object(call.parameters))
            switch call.function {
            case "set_gain": try settings.setGain(try parameters.required("gain"))
            default: try settings.setTime(try parameters.required("integration_time_ms"))
            }
        } catch {
            throw .refused(error.description)
        }
        self.settings = settings
    }

    private func identify() throws(SensorFault) {
        let id = try chip.register8(TCS34725Register.id)
        guard TCS34725Register.expectedIDs.contains(id) else {
            throw SensorFault("\(chip.name) is no TCS34725: its id is \(hexadecimal(id)) instead of 0x44 or 0x4D")
        }
    }

    /// Switching the converter on starts an integration anew, with what was set before.
    private func measure() throws(SensorFault) -> TCS34725Counts {
        try chip.setRegister8(TCS34725Register.enable, to: TCS34725Register.powerOn)
        try chip.setRegister8(TCS34725Register.time, to: settings.timeRegister)
        try chip.setRegister8(TCS34725Register.control, to: settings.gainRegister)
        // "There is a 2.4 ms warm-up delay if PON is enabled."
        pause(.milliseconds(3))
        try chip.setRegister8(TCS34725Register.enable, to: TCS34725Register.powerOn | TCS34725Register.converterOn)
        pause(settings.maximumDuration)
        let bytes = try chip.registers(TCS34725Register.statusAndData, count: 9)
        guard bytes[0] & 1 != 0 else {
            throw SensorFault("\(chip.name): the measurement did not end in time")
        }
        // Until the next time, it needs next to nothing.
        try chip.setRegister8(TCS34725Register.enable, to: 0)
        let words = stride(from: 1, to: 9, by: 2).map { bytes.uint16(at: $0, .littleEndian) }
        return TCS34725Counts(clear: words[0], red: words[1], green: words[2], blue: words[3])
    }
}

/// Addresses, with the bits that make a byte a command, and the address count up where several bytes follow.
enum TCS34725Register {
    static let enable: UInt8 = 0x80
    static let time: UInt8 = 0x81
    static let control: UInt8 = 0x8F
    static let id: UInt8 = 0x92
    /// TCS34721 and 34725, TCS34723 and 34727 (data sheet, "ID Register").
    static let expectedIDs: [UInt8] = [0x44, 0x4D]
    /// STATUS, then two bytes each of clear, red, green, blue.
    static let statusAndData: UInt8 = 0xB3

    static let powerOn: UInt8 = 0x01
    static let converterOn: UInt8 = 0x02
}
