import SensorKit

/// TDK InvenSense's MPU-6050: acceleration, rotation and its own temperature. README.md has registers and formulae.
public struct MPU6050Driver: Driver {
    public static let name = "mpu6050"
    public static let summary = "acceleration and rotation (I2C, InvenSense MPU-6050)"
    public static let defaultInterval = Duration.seconds(1)

    static let fields =
        ["x", "y", "z"].map { Field(name: "acceleration_\($0)_g", type: .float) }
        + ["x", "y", "z"].map { Field(name: "rotation_\($0)_dps", type: .float) }
        + [Field(name: "temperature_celsius", type: .float)]
    static let functions = [
        ControlFunction(name: "set_acceleration_range", parameters: [Field(name: "g", type: .int)]),
        ControlFunction(name: "set_rotation_range", parameters: [Field(name: "dps", type: .int)]),
        ControlFunction(name: "set_bandwidth", parameters: [Field(name: "hz", type: .int)]),
    ]
    /// With the pin AD0 low, and high.
    public static let i2cAddresses: [UInt8] = [0x68, 0x69]
    public static let i2cIdentity = I2CIdentity.register(MPU6050Register.whoAmI) { $0 == MPU6050Register.expectedID }
    private static let attributes = ["acceleration_range_g", "rotation_range_dps", "bandwidth_hz"]

    private let chip: I2CDevice
    private let type: SensorType
    private var settings: MPU6050Settings
    /// It was seen that it is such a chip, and set up.
    private var isReady = false

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields(Self.fields)
        try context.requireFunctions(among: Self.functions)
        context.warnOfSimilarAttributes(to: I2CDevice.attributes + Self.attributes)
        chip = try I2CDevice(context, addresses: Self.i2cAddresses)
        var settings = MPU6050Settings()
        if let reader = try context.attributes.optional("acceleration_range_g") { try settings.setAcceleration(reader) }
        if let reader = try context.attributes.optional("rotation_range_dps") { try settings.setRotation(reader) }
        if let reader = try context.attributes.optional("bandwidth_hz") { try settings.setBandwidth(reader) }
        self.settings = settings
        type = context.type
    }

    public mutating func read() throws(SensorFault) -> [Measurement] {
        if !isReady { try identify() }
        isReady = false
        // A chip that has lost its power sleeps, with other ranges: its numbers would mean something else.
        let power = try chip.register8(MPU6050Register.power)
        let registers = try chip.registers(MPU6050Register.configuration, count: 3)
        if power != MPU6050Register.gyroscopeClock || registers != settings.registers { try setUp() }
        let bytes = try chip.registers(MPU6050Register.firstResult, count: 14)
        isReady = true
        return [Measurement(type.select(try settings.values(bytes, chip)))]
    }

    public mutating func control(_ call: ControlCall) throws(ControlError) {
        var settings = settings
        do throws(ValidationError) {
            let parameters = DocumentReader(.object(call.parameters))
            switch call.function {
            case "set_acceleration_range": try settings.setAcceleration(try parameters.required("g"))
            case "set_rotation_range": try settings.setRotation(try parameters.required("dps"))
            default: try settings.setBandwidth(try parameters.required("hz"))
            }
        } catch {
            throw .refused(error.description)
        }
        self.settings = settings
    }

    private func identify() throws(SensorFault) {
        let id = try chip.register8(MPU6050Register.whoAmI)
        guard id == MPU6050Register.expectedID else {
            throw SensorFault("\(chip.name) is no MPU-6050: WHO_AM_I says \(hexadecimal(id)) instead of 0x68")
        }
    }

    private func setUp() throws(SensorFault) {
        try chip.setRegister8(MPU6050Register.power, to: MPU6050Register.gyroscopeClock)
        for (index, value) in settings.registers.enumerated() {
            try chip.setRegister8(MPU6050Register.configuration + UInt8(index), to: value)
        }
        // The gyroscope's start-up time, and the filter's (data sheet, 6.1; register map, 4.3).
        pause(.milliseconds(100))
    }
}

/// Addresses (register map, section 3).
enum MPU6050Register {
    /// CONFIG, GYRO_CONFIG, ACCEL_CONFIG.
    static let configuration: UInt8 = 0x1A
    /// ACCEL_XOUT_H.
    static let firstResult: UInt8 = 0x3B
    static let power: UInt8 = 0x6B
    static let whoAmI: UInt8 = 0x75
    /// Of WHO_AM_I, whatever the address is (register map, 4.32).
    static let expectedID: UInt8 = 0x68
    /// PWR_MGMT_1: awake, with the x gyroscope's clock, which is the better one (register map, 4.28).
    static let gyroscopeClock: UInt8 = 0x01
}
