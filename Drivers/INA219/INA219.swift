import SensorKit

/// TI's INA219, voltage, current and power of a supply, at an I2C bus. README.md has registers and formulae.
public struct INA219Driver: Driver {
    public static let name = "ina219"
    public static let summary = "voltage, current, power (I2C, TI INA219)"
    public static let defaultInterval = Duration.seconds(5)

    static let fields = [
        Field(name: "bus_voltage_volts", type: .float),
        Field(name: "shunt_voltage_volts", type: .float),
        Field(name: "current_amperes", type: .float),
        Field(name: "power_watts", type: .float),
    ]
    static let functions = [
        ControlFunction(name: "set_shunt_range", parameters: [Field(name: "shunt_range_mv", type: .int)]),
        ControlFunction(name: "set_samples", parameters: [Field(name: "samples", type: .int)]),
    ]
    /// With the pins A1 and A0 at ground, V+, SDA, SCL.
    public static let i2cAddresses: [UInt8] = Array(0x40...0x4F)

    /// Data sheet, "Absolute Maximum Ratings": the bus may have so much, whatever the range is.
    private static let busRange = PhysicalRange("bus voltage", 0...26, "V")

    private let chip: I2CDevice
    private let type: SensorType
    private let shuntOhms: Double
    private var settings: INA219Settings
    /// That it is such a chip is asked anew after a fault: another one may have been plugged in.
    private var isKnown = false

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields(Self.fields)
        try context.requireFunctions(among: Self.functions)
        context.warnOfSimilarAttributes(
            to: I2CDevice.attributes + ["shunt_ohms", "bus_range_volts", "shunt_range_mv", "samples"])
        chip = try I2CDevice(context, addresses: Self.i2cAddresses)
        type = context.type
        shuntOhms = try context.attributes.optional("shunt_ohms").map(Self.ohms) ?? 0.1
        settings = try INA219Settings(context.attributes)
    }

    private static func ohms(_ reader: DocumentReader) throws(ValidationError) -> Double {
        let ohms = try reader.double()
        guard 0.00001...1_000 ~= ohms else { throw reader.error("must be from 0.00001 to 1000 Ω, is \(ohms)") }
        return ohms
    }

    public mutating func read() throws(SensorFault) -> [Measurement] {
        if !isKnown { try identify() }
        isKnown = false
        // All settings each time, as the chip forgets them when its power is gone. It also starts measuring.
        try chip.setRegister16(INA219Register.configuration, to: settings.configuration, .bigEndian)
        pause(settings.maximumDuration)
        let bus = INA219BusVoltage(register: try chip.register16(INA219Register.busVoltage, .bigEndian))
        let shunt = try chip.registerSigned16(INA219Register.shuntVoltage, .bigEndian)
        let configuration = try chip.register16(INA219Register.configuration, .bigEndian)
        guard configuration == settings.configuration else {
            throw SensorFault(
                """
                \(chip.name): the settings are not what they were set to: the chip was without power, or somebody else \
                sets it
                """)
        }
        guard bus.isReady else { throw SensorFault("\(chip.name): the measurement did not end in time") }
        let busVolts = try Self.busRange.checked(bus.volts, of: chip)
        try checkLimits(bus, shunt: shunt)
        isKnown = true
        let shuntVolts = Double(shunt) * INA219Settings.shuntVoltsPerCount
        let amperes = shuntVolts / shuntOhms
        return [
            Measurement(
                type.select([
                    "bus_voltage_volts": .double(busVolts),
                    "shunt_voltage_volts": .double(shuntVolts),
                    "current_amperes": .double(amperes),
                    "power_watts": .double(busVolts * amperes),
                ]))
        ]
    }

    /// At the end of a range it is not known how much there is.
    private func checkLimits(_ bus: INA219BusVoltage, shunt: Int16) throws(SensorFault) {
        guard abs(Int(shunt)) < settings.shuntLimit else {
            let range = settings.shuntRange
            let amperes = (Double(range) / shuntOhms).rounded() / 1_000
            throw SensorFault(
                """
                \(chip.name): there is \(range) mV or more at the shunt, \(amperes) A with the \
                shunt_ohms given\(range < 320 ? "; a greater shunt_range_mv measures more" : "")
                """)
        }
        guard settings.busRange == 32 || bus.volts < 16 else {
            throw SensorFault("\(chip.name): there are 16 V or more at the bus; bus_range_volts 32 measures more")
        }
    }

    /// The chip has no register that says what it is. But its configuration is known after a reset.
    private func identify() throws(SensorFault) {
        try chip.setRegister16(INA219Register.configuration, to: INA219Settings.reset, .bigEndian)
        let configuration = try chip.register16(INA219Register.configuration, .bigEndian)
        guard configuration == INA219Settings.afterReset else {
            throw SensorFault(
                """
                \(chip.name) is no INA219: after a reset its configuration is \(hexadecimalBytes(configuration)) \
                instead of \(hexadecimalBytes(INA219Settings.afterReset))
                """)
        }
    }

    public mutating func control(_ call: ControlCall) throws(ControlError) {
        switch call.function {
        case "set_shunt_range":
            settings.gain = try call.parameter("shunt_range_mv", INA219Settings.gain)
        default:
            settings.averaging = try call.parameter("samples", INA219Settings.averaging)
        }
    }
}
