import SensorKit

/// Microchip's MCP23017, sixteen pins at an I2C bus. README.md has its registers.
public struct MCP23017Driver: PortDriver {
    public static let name = "mcp23017"
    public static let summary = "sixteen inputs or outputs (I2C, port expander MCP23017)"
    public static let defaultInterval = Duration.seconds(1)

    /// GPA0 to GPA7, GPB0 to GPB7.
    static let names = ["a", "b"].flatMap { port in (0..<8).map { "\(port)\($0)" } }
    static let fields = names.map { Field(name: $0, type: .bool) }
    public static let i2cAddresses: [UInt8] = Array(0x20...0x27)

    private let chip: I2CDevice
    let type: SensorType
    let log: Log
    /// Inputs that the chip pulls up.
    private let pullUps: UInt16
    var outputs: PortOutputs
    var absence: HubAbsence

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields(Self.fields)
        try context.requireFunctions(among: PortOutputs.functions)
        context.warnOfSimilarAttributes(to: I2CDevice.attributes + ["outputs", "pull_ups", HubAbsence.attribute])
        chip = try I2CDevice(context, addresses: Self.i2cAddresses)
        outputs = try PortOutputs(try context.attributes.optional("outputs"), names: Self.names)
        pullUps = try Self.pullUps(try context.attributes.optional("pull_ups"), outputs)
        absence = try HubAbsence(context.attributes)
        type = context.type
        log = context.log
    }

    private static func pullUps(_ reader: DocumentReader?, _ outputs: PortOutputs) throws(ValidationError) -> UInt16 {
        var mask: UInt16 = 0
        for item in try reader?.items() ?? [] {
            let name = try item.string()
            guard let pin = names.firstIndex(of: name) else {
                throw item.error("'\(name.prefix(80))' is no pin, but \(names.joined(separator: ", ")) are")
            }
            guard outputs.mask & 1 << pin == 0 else { throw item.error("'\(name)' is an output") }
            mask |= 1 << pin
        }
        return mask
    }

    /// Brings the pins to what they are to be, where they are not, and reads their levels.
    func exchange() throws(SensorFault) -> UInt16 {
        var registers = try MCP23017Registers(try chip.registers(0, count: MCP23017Registers.count), chip)
        if !isSetUp(registers) {
            // Levels first: a pin that becomes an output has the right one at once.
            try chip.setRegister16(MCP23017Registers.latch, to: outputs.levels, .littleEndian)
            try chip.setRegister16(MCP23017Registers.pullUp, to: pullUps, .littleEndian)
            try chip.setRegister16(MCP23017Registers.polarity, to: 0, .littleEndian)
            try chip.setRegister16(MCP23017Registers.interruptEnable, to: 0, .littleEndian)
            try chip.setRegister16(
                MCP23017Registers.interruptDefault, to: MCP23017Registers.signature, .littleEndian)
            try chip.setRegister16(MCP23017Registers.direction, to: ~outputs.mask, .littleEndian)
            registers = try MCP23017Registers(try chip.registers(0, count: MCP23017Registers.count), chip)
            guard isSetUp(registers) else {
                throw SensorFault("\(chip.name) is no MCP23017: its registers do not keep what is written to them")
            }
        }
        let wrong = (registers.levels ^ outputs.levels) & outputs.mask
        guard wrong == 0 else {
            throw SensorFault(
                "\(chip.name): \(outputs.list(wrong)) does not have the level that it is set to: a short circuit?")
        }
        return registers.levels
    }

    private func isSetUp(_ registers: MCP23017Registers) -> Bool {
        registers.directions == ~outputs.mask && registers.polarities == 0 && registers.pullUps == pullUps
            && registers.latches == outputs.levels && registers.interruptsEnabled == 0
            && registers.interruptDefaults == MCP23017Registers.signature
    }
}

/// All registers as they were at one moment, with IOCON.BANK = 0: those of port A and B alternate.
struct MCP23017Registers {
    static let count = 22
    static let direction: UInt8 = 0x00
    static let polarity: UInt8 = 0x02
    static let interruptEnable: UInt8 = 0x04
    static let interruptDefault: UInt8 = 0x06
    static let pullUp: UInt8 = 0x0C
    static let latch: UInt8 = 0x14
    private static let control = 0x0A
    /// There is no register that says what the chip is. This goes to DEFVAL, which matters with interrupts only: who
    /// keeps it is such a chip, and has not lost its power since.
    static let signature: UInt16 = 0x5AA5

    /// Bits of inputs are 1.
    let directions: UInt16
    let polarities: UInt16
    let interruptsEnabled: UInt16
    let interruptDefaults: UInt16
    let pullUps: UInt16
    /// What the pins have.
    let levels: UInt16
    let latches: UInt16

    /// - Throws: where IOCON, which stands there twice, does not: with another map of registers (BANK = 1), or on
    ///   another chip.
    init(_ bytes: [UInt8], _ chip: I2CDevice) throws(SensorFault) {
        let control = bytes[Self.control]
        // Bit 0 reads as 0; bit 7 is BANK.
        guard control == bytes[Self.control + 1], control & 0x81 == 0 else {
            throw SensorFault(
                """
                \(chip.name) is no MCP23017, or was set up by somebody else: its register IOCON says \
                \(hexadecimal(control)) and \(hexadecimal(bytes[Self.control + 1]))
                """)
        }
        func pair(_ register: UInt8) -> UInt16 { bytes.uint16(at: Int(register), .littleEndian) }
        directions = pair(Self.direction)
        polarities = pair(Self.polarity)
        interruptsEnabled = pair(Self.interruptEnable)
        interruptDefaults = pair(Self.interruptDefault)
        pullUps = pair(Self.pullUp)
        levels = pair(0x12)
        latches = pair(Self.latch)
    }
}
