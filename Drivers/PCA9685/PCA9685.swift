import SensorKit

/// NXP's PCA9685, sixteen PWM outputs at an I2C bus: LEDs, servos, motors' drivers. README.md has its registers.
public struct PCA9685Driver: OutputDriver {
    public static let name = "pca9685"
    public static let summary = "sixteen PWM outputs for LEDs and servos (I2C, NXP PCA9685)"
    public static let defaultInterval = Duration.seconds(10)

    static let channels: ClosedRange<Int64> = 0...15
    static let fields =
        channels.map { Field(name: "duty_\($0)_percent", type: .float) }
        + [Field(name: "frequency_hz", type: .float)]
    static let functions = [
        ControlFunction(
            name: "set_duty", parameters: [Field(name: "channel", type: .int), Field(name: "percent", type: .float)]),
        ControlFunction(
            name: "set_servo", parameters: [Field(name: "channel", type: .int), Field(name: "pulse_us", type: .float)]),
        ControlFunction(name: "set_frequency", parameters: [Field(name: "hz", type: .float)]),
        ControlFunction(name: "all_off", parameters: []),
    ]
    /// Six pins set it. 0x70 is what all such chips answer to at first.
    static let addresses: [UInt8] = (0x40...0x77).filter { $0 != 0x70 }
    /// Where boards have it. To ask about all the others would disturb too many other chips.
    public static let i2cAddresses: [UInt8] = Array(0x40...0x47) + [0x60]
    private static let attributes = ["frequency_hz", "oscillator_hz", "safe", "inverted", "open_drain"]

    private let chip: I2CDevice
    private let type: SensorType
    let log: Log
    private let oscillator: Double
    private let mode2: UInt8
    /// Duties when nobody is in charge.
    private let safe: [PCA9685Duty]
    var outputs: Outputs
    var absence: HubAbsence

    struct Outputs: Equatable {
        var duties: [PCA9685Duty]
        var prescale: UInt8
    }

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields(Self.fields)
        try context.requireFunctions(among: Self.functions)
        context.warnOfSimilarAttributes(to: I2CDevice.attributes + Self.attributes + [HubAbsence.attribute])
        chip = try I2CDevice(context, addresses: Self.addresses)
        let attributes = context.attributes
        oscillator = try attributes.optional("oscillator_hz")?.number(in: PCA9685Frequency.oscillators) ?? 25e6
        let frequency = try attributes.optional("frequency_hz")
        let prescale = try PCA9685Frequency.prescale(frequency, oscillator: oscillator)
        let isInverted = try attributes.optional("inverted")?.bool() ?? false
        let isOpenDrain = try attributes.optional("open_drain")?.bool() ?? false
        mode2 = (isInverted ? PCA9685Register.inverted : 0) | (isOpenDrain ? 0 : PCA9685Register.totemPole)
        safe = try Self.safe(try attributes.optional("safe"))
        outputs = Outputs(duties: safe, prescale: prescale ?? PCA9685Frequency.initialPrescale)
        absence = try HubAbsence(attributes)
        type = context.type
        log = context.log
    }

    /// Reads `{"0": 7.5}`: percent by channel; the others are off.
    private static func safe(_ reader: DocumentReader?) throws(ValidationError) -> [PCA9685Duty] {
        var duties = [PCA9685Duty](repeating: .off, count: channels.count)
        for (name, percent) in try reader?.members() ?? [] {
            guard let channel = Int64(name), channels.contains(channel), "\(channel)" == name else {
                throw percent.error("'\(name.prefix(80))' is no channel: they are 0 to 15")
            }
            duties[Int(channel)] = PCA9685Duty(percent: try percent.number(in: 0...100))
        }
        return duties
    }

    /// The frequency stays.
    var safeOutputs: Outputs { Outputs(duties: safe, prescale: outputs.prescale) }

    func measure() throws(SensorFault) -> [Measurement] {
        try establish()
        var values: JSONObject = ["frequency_hz": .double(frequency)]
        for (channel, duty) in outputs.duties.enumerated() {
            values["duty_\(channel)_percent"] = .double(duty.percent)
        }
        return [Measurement(type.select(values))]
    }

    mutating func apply(_ call: ControlCall) throws(ValidationError) {
        let parameters = DocumentReader(.object(call.parameters))
        switch call.function {
        case "all_off": outputs.duties = outputs.duties.map { _ in .off }
        case "set_frequency":
            let wanted = try parameters.required("hz")
            outputs.prescale = try PCA9685Frequency.prescale(wanted, oscillator: oscillator) ?? outputs.prescale
        case "set_servo":
            let channel = Int(try parameters.required("channel").int(Self.channels))
            let period = 1e6 / frequency
            let pulse = try parameters.required("pulse_us").number(in: 0...period)
            outputs.duties[channel] = PCA9685Duty(percent: pulse / period * 100)
        default:
            let channel = Int(try parameters.required("channel").int(Self.channels))
            outputs.duties[channel] = PCA9685Duty(percent: try parameters.required("percent").number(in: 0...100))
        }
    }

    private var frequency: Double { PCA9685Frequency.hertz(outputs.prescale, oscillator: oscillator) }

    /// Brings the chip to what is wanted, where it is not: it may have lost its power.
    func establish() throws(SensorFault) {
        if try !isEstablished() {
            try setUp()
            guard try isEstablished() else {
                throw SensorFault("\(chip.name) is no PCA9685: its registers do not keep what is written to them")
            }
        }
    }

    private func isEstablished() throws(SensorFault) -> Bool {
        let modes = try chip.registers(PCA9685Register.mode1, count: 2)
        // Without auto-increment, registers of channels would all be read as the first.
        guard modes[0] & ~PCA9685Register.restart == PCA9685Register.running, modes[1] == mode2,
            try chip.register8(PCA9685Register.prescale) == outputs.prescale
        else { return false }
        return try chip.registers(PCA9685Register.firstChannel, count: 64) == outputs.duties.flatMap(\.registers)
    }

    /// Duties are written while the oscillator runs, if it does: a new duty alone makes no pause in the pulses.
    private func setUp() throws(SensorFault) {
        if try chip.register8(PCA9685Register.prescale) != outputs.prescale {
            // "Writes to PRE_SCALE are blocked while SLEEP is 0."
            try chip.setRegister8(PCA9685Register.mode1, to: PCA9685Register.running | PCA9685Register.sleep)
            try chip.setRegister8(PCA9685Register.prescale, to: outputs.prescale)
        }
        try chip.setRegister8(PCA9685Register.mode2, to: mode2)
        let mode1 = try chip.register8(PCA9685Register.mode1)
        let isAsleep = mode1 & PCA9685Register.sleep != 0
        if mode1 & PCA9685Register.autoIncrement == 0 {
            try chip.setRegister8(
                PCA9685Register.mode1, to: PCA9685Register.running | (isAsleep ? PCA9685Register.sleep : 0))
        }
        try chip.write([PCA9685Register.firstChannel] + outputs.duties.flatMap(\.registers))
        try chip.setRegister8(PCA9685Register.mode1, to: PCA9685Register.running)
        if isAsleep {
            // The oscillator needs 500 µs. Writing the channels has cleared RESTART, so that they start as written.
            pause(.microseconds(500))
        }
    }
}

/// Addresses and bits (data sheet, 7.3).
enum PCA9685Register {
    static let mode1: UInt8 = 0x00
    static let mode2: UInt8 = 0x01
    static let firstChannel: UInt8 = 0x06
    static let prescale: UInt8 = 0xFE

    static let restart: UInt8 = 0x80
    static let autoIncrement: UInt8 = 0x20
    static let sleep: UInt8 = 0x10
    /// MODE1: own oscillator, awake, and no answer to addresses that other such chips have as well.
    static let running = autoIncrement

    static let inverted: UInt8 = 0x10
    static let totemPole: UInt8 = 0x04
}
