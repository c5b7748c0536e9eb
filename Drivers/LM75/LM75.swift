import SensorKit

/// The thermometer LM75 at an I2C bus, and those that have its registers. README.md has registers and formula.
public struct LM75Driver: Driver {
    public static let name = "lm75"
    public static let summary = "temperature (I2C, LM75, LM75A, LM75B, TMP75 and the like)"
    public static let defaultInterval = Duration.seconds(5)

    static let fields = [Field(name: "temperature_celsius", type: .float)]
    /// With the pins A2, A1, A0.
    public static let i2cAddresses: [UInt8] = [0x48, 0x49, 0x4A, 0x4B, 0x4C, 0x4D, 0x4E, 0x4F]

    private static let range = PhysicalRange("temperature", -55...125, "°C")

    private let chip: I2CDevice
    private let variant: LM75Variant
    /// That it is such a chip, and has converted once, is made sure of anew after a fault.
    private var isKnown = false

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields(Self.fields)
        try context.requireNoFunctions()
        context.warnOfSimilarAttributes(to: I2CDevice.attributes + ["chip"])
        chip = try I2CDevice(context, addresses: Self.i2cAddresses)
        variant = try context.attributes.optional("chip")?.choice() ?? .lm75
    }

    public mutating func read() throws(SensorFault) -> [Measurement] {
        if !isKnown { try setUp() }
        isKnown = false
        let configuration = try chip.register8(LM75Register.configuration)
        // A chip that lost its power has forgotten this, if it is more than what it starts with.
        guard configuration == variant.configuration else {
            throw SensorFault(
                """
                \(chip.name): the configuration is \(hexadecimal(configuration)) instead of \
                \(hexadecimal(variant.configuration)): the chip was without power, or somebody else sets it
                """)
        }
        let register = try chip.register16(LM75Register.temperature, .bigEndian)
        let celsius = try Self.range.checked(variant.celsius(register), of: chip)
        isKnown = true
        return [Measurement(["temperature_celsius": .double(celsius)])]
    }

    /// The chip has no register that says what it is. But its configuration of one byte keeps the bit for shutdown, and
    /// no other than it has: what shares its addresses, as the TMP102 and converters, says something else.
    private func setUp() throws(SensorFault) {
        for configuration in [variant.configuration | LM75Configuration.shutdown, variant.configuration] {
            try chip.setRegister8(LM75Register.configuration, to: configuration)
            let answer = try chip.register8(LM75Register.configuration)
            guard answer == configuration else {
                throw SensorFault(
                    """
                    \(chip.name) is no \(variant.rawValue): its configuration is \(hexadecimal(answer)) after it was \
                    set to \(hexadecimal(configuration))
                    """)
            }
        }
        // What the register has until then may be from long ago.
        pause(LM75Configuration.conversion)
    }
}
