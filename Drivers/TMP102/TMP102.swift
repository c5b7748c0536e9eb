import SensorKit

/// TI's TMP102, a thermometer at an I2C bus. README.md has registers and formula.
public struct TMP102Driver: Driver {
    public static let name = "tmp102"
    public static let summary = "temperature (I2C, TI TMP102)"
    public static let defaultInterval = Duration.seconds(5)

    static let fields = [Field(name: "temperature_celsius", type: .float)]
    /// With the pin ADD0 at ground, V+, SDA, SCL.
    public static let i2cAddresses: [UInt8] = [0x48, 0x49, 0x4A, 0x4B]

    /// Data sheet, "Electrical Characteristics": the longest that a conversion takes.
    private static let conversion = Duration.milliseconds(35)
    /// "Absolute Maximum Ratings", operating temperature.
    private static let range = PhysicalRange("temperature", -55...150, "°C")

    private let chip: I2CDevice

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields(Self.fields)
        try context.requireNoFunctions()
        context.warnOfSimilarAttributes(to: I2CDevice.attributes)
        chip = try I2CDevice(context, addresses: Self.i2cAddresses)
    }

    public mutating func read() throws(SensorFault) -> [Measurement] {
        // The whole configuration each time, as the chip forgets it when its power is gone.
        try chip.setRegister16(TMP102Register.configuration, to: TMP102Configuration.oneShot, .bigEndian)
        pause(Self.conversion)
        try check(try chip.register16(TMP102Register.configuration, .bigEndian))
        let register = try chip.register16(TMP102Register.temperature, .bigEndian)
        let celsius = try Self.range.checked(TMP102Temperature.celsius(register), of: chip)
        return [Measurement(["temperature_celsius": .double(celsius)])]
    }

    /// The chip has no register that says what it is. But two bits of its configuration cannot be cleared, four cannot
    /// be set, and OS is 1 when the conversion that it started is done.
    private func check(_ configuration: UInt16) throws(SensorFault) {
        guard configuration & TMP102Configuration.keptBits == TMP102Configuration.kept else {
            throw SensorFault(
                """
                \(chip.name) is no TMP102: its configuration is \(hexadecimalBytes(configuration)) after it was set to \
                \(hexadecimalBytes(TMP102Configuration.oneShot))
                """)
        }
        guard configuration & TMP102Configuration.isDone != 0 else {
            throw SensorFault("\(chip.name): a conversion that takes 35 ms at most did not end")
        }
    }
}
