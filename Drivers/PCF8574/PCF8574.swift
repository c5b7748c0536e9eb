import SensorKit

/// NXP's and TI's PCF8574 and PCF8574A, eight pins at an I2C bus. README.md says how they work.
public struct PCF8574Driver: PortDriver {
    public static let name = "pcf8574"
    public static let summary = "eight inputs or outputs (I2C, port expander PCF8574)"
    public static let defaultInterval = Duration.seconds(1)

    static let names = (0..<8).map { "p\($0)" }
    static let fields = names.map { Field(name: $0, type: .bool) }
    /// Three pins set it: from 0x20 on for the PCF8574, from 0x38 on for the PCF8574A.
    public static let i2cAddresses: [UInt8] = Array(0x20...0x27) + Array(0x38...0x3F)
    /// Each byte sets the outputs.
    public static let i2cIdentity = I2CIdentity.disturbedByBytes

    private let chip: I2CDevice
    let type: SensorType
    let log: Log
    var outputs: PortOutputs
    var absence: HubAbsence

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields(Self.fields)
        try context.requireFunctions(among: PortOutputs.functions)
        context.warnOfSimilarAttributes(to: I2CDevice.attributes + ["outputs", HubAbsence.attribute])
        chip = try I2CDevice(context, addresses: Self.i2cAddresses)
        outputs = try PortOutputs(try context.attributes.optional("outputs"), names: Self.names)
        absence = try HubAbsence(context.attributes)
        type = context.type
        log = context.log
    }

    /// Sets the pins and reads their levels, in one transfer. They are set each time: a chip that has lost its power in
    /// between has all of them high.
    func exchange() throws(SensorFault) -> UInt16 {
        // An input is a pin that is set high: it then holds the level weakly, and others can pull it down.
        let latch = UInt8(truncatingIfNeeded: outputs.levels | ~outputs.mask)
        let levels = UInt16(try chip.writeRead([latch], count: 1)[0])
        // Low is driven strongly.
        let impossible = levels & outputs.mask & ~outputs.levels
        guard impossible == 0 else {
            throw SensorFault(
                """
                \(chip.name): \(outputs.list(impossible)) is set low and reads high: a short circuit, or the chip is \
                no PCF8574
                """)
        }
        return levels
    }
}
