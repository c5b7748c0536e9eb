import SensorKit

/// TI's ADS1115 (16 bits) and ADS1015 (12 bits), four voltages, at an I2C bus. README.md has registers and formula.
public struct ADS1115Driver: Driver {
    public static let name = "ads1115"
    public static let summary = "voltages at four inputs (I2C, TI ADS1115 and ADS1015)"
    public static let defaultInterval = Duration.seconds(5)

    static let fields = ADS1115Input.allCases.map { Field(name: $0.rawValue, type: .float) }
    static let functions = [
        ControlFunction(name: "set_range", parameters: [Field(name: "range_volts", type: .float)]),
        ControlFunction(name: "set_data_rate", parameters: [Field(name: "data_rate", type: .int)]),
    ]
    /// With the pin ADDR at ground, VDD, SDA, SCL.
    public static let i2cAddresses: [UInt8] = [0x48, 0x49, 0x4A, 0x4B]

    private let chip: I2CDevice
    private let model: ADS1115Model
    /// Those that the type has fields for: each takes a conversion.
    private let inputs: [ADS1115Input]
    private var range: ADS1115Range
    private var rate: ADS1115Rate

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields(Self.fields)
        try context.requireFunctions(among: Self.functions)
        context.warnOfSimilarAttributes(to: I2CDevice.attributes + ["chip", "range_volts", "data_rate"])
        chip = try I2CDevice(context, addresses: Self.i2cAddresses)
        let attributes = context.attributes
        let model: ADS1115Model = try attributes.optional("chip")?.choice() ?? .ads1115
        self.model = model
        inputs = context.type.fields.compactMap { ADS1115Input(rawValue: $0.name) }
        range = try attributes.optional("range_volts").map(ADS1115Range.init) ?? .fourVolts
        if let reader = try attributes.optional("data_rate") {
            rate = try ADS1115Rate(reader, model)
        } else {
            rate = .initial(model)
        }
    }

    public mutating func read() throws(SensorFault) -> [Measurement] {
        var values = JSONObject()
        for input in inputs { values[input.rawValue] = .double(try volts(input)) }
        return [Measurement(values)]
    }

    private func volts(_ input: ADS1115Input) throws(SensorFault) -> Double {
        // All settings each time, as the chip forgets them when its power is gone. It also starts the conversion.
        let configuration = ADS1115Register.oneShot | input.multiplexer | range.gain | rate.bits
        try chip.setRegister16(ADS1115Register.configuration, to: configuration, .bigEndian)
        pause(rate.maximumDuration)
        let answer = try chip.register16(ADS1115Register.configuration, .bigEndian)
        // The chip has no register that says what it is. But it keeps its settings, all 15 bits of them, and says that
        // the conversion is done.
        guard answer | ADS1115Register.isDone == configuration else {
            throw SensorFault(
                """
                \(chip.name) is no \(model.rawValue): its configuration is \(hexadecimalBytes(answer)) after it was \
                set to \(hexadecimalBytes(configuration))
                """)
        }
        guard answer & ADS1115Register.isDone != 0 else {
            throw SensorFault("\(chip.name): a conversion did not end in time")
        }
        let result = try chip.registerSigned16(ADS1115Register.conversion, .bigEndian)
        guard result > Int16.min, result < model.maximum else {
            throw SensorFault(
                """
                \(chip.name): \(input.description) is at the end of the range of \(range.volts) V or beyond\
                \(range.isWidest ? "" : "; a greater range_volts measures more")
                """)
        }
        return range.volts(result)
    }

    public mutating func control(_ call: ControlCall) throws(ControlError) {
        switch call.function {
        case "set_range": range = try call.parameter("range_volts", ADS1115Range.init)
        default:
            let model = model
            rate = try call.parameter("data_rate") { reader throws(ValidationError) in try ADS1115Rate(reader, model) }
        }
    }
}
