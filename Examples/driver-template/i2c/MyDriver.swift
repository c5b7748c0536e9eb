public import SensorKit

/// An example: a thermometer at I2C with its temperature in register 0, in units of 1/256 °C, as LM75 and its like have
/// it. Replace what `read` does, and say here where each formula is from.
public struct MyDriver: Driver {
    public static let name = "MY-NAME"
    public static let summary = "an example: temperature (I2C)"
    public static let defaultInterval = Duration.seconds(5)
    /// What `i2c_address` can be; the first one is what it is where that is missing.
    public static let i2cAddresses: [UInt8] = [0x48, 0x49]

    private let chip: I2CDevice

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields([Field(name: "temperature_celsius", type: .float)])
        try context.requireNoFunctions()
        chip = try I2CDevice(context, addresses: Self.i2cAddresses)
    }

    public mutating func read() throws(SensorFault) -> [Measurement] {
        [Measurement(["temperature_celsius": .double(Self.celsius(try chip.writeRead([0x00], count: 2)))])]
    }

    /// The two bytes of the register, the higher one first.
    static func celsius(_ bytes: [UInt8]) -> Double {
        Double(bytes.int16(at: 0, .bigEndian)) / 256
    }
}
