import SensorKit

/// NXP's PCF8591: four analogue inputs and one output, of 8 bits. README.md says how it works.
public struct PCF8591Driver: OutputDriver {
    public static let name = "pcf8591"
    public static let summary = "four voltages, one output (I2C, NXP PCF8591)"
    public static let defaultInterval = Duration.seconds(1)

    static let fields =
        (0..<4).map { Field(name: "voltage_\($0)_v", type: .float) } + [Field(name: "output_v", type: .float)]
    static let functions = [
        ControlFunction(name: "set_output", parameters: [Field(name: "volts", type: .float)]),
        ControlFunction(name: "output_off", parameters: []),
    ]
    public static let i2cAddresses: [UInt8] = Array(0x48...0x4F)
    /// The first byte is the control byte, which switches the output.
    public static let i2cIdentity = I2CIdentity.disturbedByBytes

    private let chip: I2CDevice
    private let type: SensorType
    let log: Log
    private let inputs: PCF8591Inputs
    private let reference: Double
    /// What the output is set to; nil while it is off.
    var outputs: UInt8?
    let safeOutputs: UInt8?
    var absence: HubAbsence

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields(Self.fields)
        try context.requireFunctions(among: Self.functions)
        context.warnOfSimilarAttributes(
            to: I2CDevice.attributes + ["inputs", "reference_v", "safe_v", HubAbsence.attribute])
        chip = try I2CDevice(context, addresses: Self.i2cAddresses)
        let attributes = context.attributes
        inputs = try attributes.optional("inputs")?.choice() ?? .single
        // "VREF: VSS to VDD", which is 6 V at most.
        reference = try attributes.optional("reference_v")?.number(in: 0.1...6) ?? 3.3
        let reference = reference
        safeOutputs = try attributes.optional("safe_v").map { (reader) throws(ValidationError) in
            try Self.code(reader, reference)
        }
        outputs = safeOutputs
        absence = try HubAbsence(attributes)
        type = context.type
        log = context.log
    }

    func measure() throws(SensorFault) -> [Measurement] {
        try establish()
        var values = JSONObject()
        for (channel, isSigned) in inputs.channels.enumerated() {
            // The first byte is of the conversion before.
            let code = try chip.writeRead([control | UInt8(channel)], count: 2)[1]
            let steps = isSigned ? Double(Int8(bitPattern: code)) : Double(code)
            values["voltage_\(channel)_v"] = .double(steps * reference / 256)
        }
        if let outputs { values["output_v"] = .double(Double(outputs) * reference / 256) }
        return [Measurement(type.select(values))]
    }

    mutating func apply(_ call: ControlCall) throws(ValidationError) {
        guard call.function == "set_output" else {
            outputs = nil
            return
        }
        outputs = try Self.code(try DocumentReader(.object(call.parameters)).required("volts"), reference)
    }

    /// Volts as a code of the output, code / 256 of the reference: 255 is the most.
    private static func code(_ reader: DocumentReader, _ reference: Double) throws(ValidationError) -> UInt8 {
        UInt8(min(255, (try reader.number(in: 0...reference) / reference * 256).rounded()))
    }

    /// The control byte for channel 0: bit 6 is the output, bits 5 and 4 the inputs.
    private var control: UInt8 { (outputs == nil ? 0 : 0x40) | inputs.code << 4 }

    /// Also each time before reading: a chip that has lost its power in between has its output back.
    func establish() throws(SensorFault) {
        try chip.write(outputs.map { [control, $0] } ?? [control])
    }
}

/// How the four pins are used (data sheet, "Control byte").
enum PCF8591Inputs: String, CaseIterable {
    /// Each to ground.
    case single
    /// AIN0, AIN1 and AIN2 to AIN3.
    case threeDifferential = "three_differential"
    /// AIN0 and AIN1 to ground, AIN2 to AIN3.
    case mixed
    /// AIN0 to AIN1, AIN2 to AIN3.
    case twoDifferential = "two_differential"

    var code: UInt8 {
        switch self {
        case .single: 0
        case .threeDifferential: 1
        case .mixed: 2
        case .twoDifferential: 3
        }
    }

    /// For each channel whether it is a difference, which may be negative.
    var channels: [Bool] {
        switch self {
        case .single: [false, false, false, false]
        case .threeDifferential: [true, true, true]
        case .mixed: [false, false, true]
        case .twoDifferential: [true, true]
        }
    }
}
