import SensorKit

/// ROHM's BH1750FVI, an ambient light sensor at an I2C bus. README.md has commands and formula.
public struct BH1750Driver: Driver {
    public static let name = "bh1750"
    public static let summary = "ambient light (I2C, ROHM BH1750)"
    public static let defaultInterval = Duration.seconds(5)

    static let fields = [Field(name: "illuminance_lux", type: .float)]
    static let functions = [
        ControlFunction(name: "set_resolution", parameters: [Field(name: "resolution", type: .string)]),
        ControlFunction(name: "set_measurement_time", parameters: [Field(name: "measurement_time", type: .int)]),
    ]
    /// With the pin ADDR low, and high.
    public static let i2cAddresses: [UInt8] = [0x23, 0x5C]
    /// Each byte is an instruction.
    public static let i2cIdentity = I2CIdentity.disturbedByBytes

    private let chip: I2CDevice
    private var resolution: BH1750Resolution
    private var measurementTime: BH1750MeasurementTime
    /// That it is such a chip is asked anew after a fault: another one may have been plugged in.
    private var isKnown = false

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields(Self.fields)
        try context.requireFunctions(among: Self.functions)
        context.warnOfSimilarAttributes(to: I2CDevice.attributes + ["resolution", "measurement_time"])
        chip = try I2CDevice(context, addresses: Self.i2cAddresses)
        let attributes = context.attributes
        resolution = try attributes.optional("resolution")?.choice() ?? .high
        measurementTime = try attributes.optional("measurement_time").map(BH1750MeasurementTime.init) ?? .typical
    }

    public mutating func read() throws(SensorFault) -> [Measurement] {
        if !isKnown { try identify() }
        isKnown = false
        // Each time, as the chip forgets it when its power is gone.
        for command in measurementTime.commands { try chip.write([command]) }
        try chip.write([resolution.command])
        pause(resolution.maximumDuration(measurementTime))
        let count = try chip.read(2).uint16(at: 0, .bigEndian)
        isKnown = true
        guard count < UInt16.max else {
            let limit = resolution.lux(count: .max, measurementTime)
            throw SensorFault(
                """
                there is more light than \(Int(limit)) lux, the most that can be measured with resolution \
                '\(resolution.rawValue)' and measurement time \(measurementTime.value); a shorter time measures more
                """)
        }
        return [Measurement(["illuminance_lux": .double(resolution.lux(count: count, measurementTime))])]
    }

    /// The chip has no register that says what it is. But it says 0 after a reset, which hardly another one does.
    private func identify() throws(SensorFault) {
        try chip.write([BH1750Command.powerOn])
        try chip.write([BH1750Command.reset])
        let answer = try chip.read(2)
        guard answer == [0, 0] else {
            throw SensorFault(
                """
                \(chip.name) is no BH1750: after a reset it says \(answer.map(hexadecimal).joined(separator: " ")) \
                instead of 0x00 0x00
                """)
        }
    }

    public mutating func control(_ call: ControlCall) throws(ControlError) {
        switch call.function {
        case "set_resolution":
            resolution = try call.parameter("resolution") { (reader) throws(ValidationError) in try reader.choice() }
        default: measurementTime = try call.parameter("measurement_time", BH1750MeasurementTime.init)
        }
    }
}
