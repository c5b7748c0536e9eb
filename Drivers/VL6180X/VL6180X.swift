import SensorKit

/// ST's VL6180X: distance up to some 10 cm by the time that light takes, and ambient light. README.md has registers and
/// formulae.
public struct VL6180XDriver: Driver {
    public static let name = "vl6180x"
    public static let summary = "distance to 100 mm and more, ambient light (I2C, ST VL6180X)"
    public static let defaultInterval = Duration.seconds(1)

    static let fields = [
        Field(name: "distance_mm", type: .int), Field(name: "illuminance_lux", type: .float),
        Field(name: "range_status", type: .string),
    ]
    static let functions = [
        ControlFunction(name: "set_gain", parameters: [Field(name: "gain", type: .float)]),
        ControlFunction(name: "set_integration_time", parameters: [Field(name: "integration_time_ms", type: .int)]),
    ]
    public static let i2cAddresses: [UInt8] = [0x29]

    private let chip: I2CDevice
    private let type: SensorType
    private var light = VL6180XLight()
    /// It was seen that it is such a chip, and set up.
    private var isReady = false

    /// Ranging takes 49 ms at most by default of the register, and some for calibration.
    private static let maximumRanging = Duration.milliseconds(150)

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields(Self.fields)
        try context.requireFunctions(among: Self.functions)
        context.warnOfSimilarAttributes(to: I2CDevice.attributes + ["gain", "integration_time_ms"])
        chip = try I2CDevice(context, addresses: Self.i2cAddresses)
        if let reader = try context.attributes.optional("gain") { try light.setGain(reader) }
        if let reader = try context.attributes.optional("integration_time_ms") { try light.setTime(reader) }
        type = context.type
    }

    public mutating func read() throws(SensorFault) -> [Measurement] {
        if !isReady {
            try identify()
            try setUp()
        }
        isReady = false
        // 1 after power on: the chip has lost its power since it was set up.
        if try register(.freshOutOfReset) != 0 { try setUp() }
        var values = JSONObject()
        if type.field("distance_mm") != nil || type.field("range_status") != nil {
            let status = try range(&values)
            values["range_status"] = .string(status.name)
        }
        if type.field("illuminance_lux") != nil { values["illuminance_lux"] = .double(try illuminance()) }
        isReady = true
        return [Measurement(type.select(values))]
    }

    public mutating func control(_ call: ControlCall) throws(ControlError) {
        var light = light
        do throws(ValidationError) {
            let parameters = DocumentReader(.object(call.parameters))
            switch call.function {
            case "set_gain": try light.setGain(try parameters.required("gain"))
            default: try light.setTime(try parameters.required("integration_time_ms"))
            }
        } catch {
            throw .refused(error.description)
        }
        self.light = light
    }

    // MARK: Measuring

    /// Puts a distance into `values` where there is one.
    private func range(_ values: inout JSONObject) throws(SensorFault) -> VL6180XRangeStatus {
        try set(.rangeStart, 1)
        try wait(for: .rangeReady, atMost: Self.maximumRanging, "ranging")
        let status = VL6180XRangeStatus(code: try register(.rangeStatus) >> 4)
        let distance = try register(.rangeValue)
        try set(.interruptClear, VL6180XRegister.clearAll)
        if status == .good { values["distance_mm"] = .int(Int64(distance)) }
        guard !status.isBroken else {
            throw SensorFault("\(chip.name): the chip says that it cannot measure distances: \(status.name)")
        }
        return status
    }

    private func illuminance() throws(SensorFault) -> Double {
        try set(.lightGain, light.gainRegister)
        try chip.write(VL6180XRegister.lightTime.bytes + ByteOrder.bigEndian.bytes(of: light.timeRegister))
        try set(.lightStart, 1)
        try wait(for: .lightReady, atMost: light.maximumDuration, "measuring light")
        let status = try register(.lightStatus) >> 4
        let count = try chip.writeRead(VL6180XRegister.lightValue.bytes, count: 2).uint16(at: 0, .bigEndian)
        try set(.interruptClear, VL6180XRegister.clearAll)
        // Error codes 1 and 2 are overflow and underflow (data sheet, RESULT__ALS_STATUS).
        guard status != 1, count < .max else {
            throw SensorFault(
                """
                there is more light than \(Int(light.lux(.max))) lux, the most that can be measured with a gain of \
                \(light.gain) and \(light.milliseconds) ms; less of them measures more
                """)
        }
        return light.lux(count)
    }

    /// Looks each few milliseconds; the chip has no other way of telling but a pin.
    private func wait(for ready: VL6180XReady, atMost limit: Duration, _ what: String) throws(SensorFault) {
        let end = Instant.now + limit
        while true {
            if ready.isMet(by: try register(.interruptStatus)) { return }
            guard .now < end else { throw SensorFault("\(chip.name): \(what) did not end in time") }
            pause(.milliseconds(5))
        }
    }

    // MARK: Setting up

    private func identify() throws(SensorFault) {
        let id = try register(.modelID)
        guard id == 0xB4 else {
            throw SensorFault("\(chip.name) is no VL6180X: its model id is \(hexadecimal(id)) instead of 0xB4")
        }
    }

    private func setUp() throws(SensorFault) {
        for (address, value) in VL6180XTuning.settings {
            try chip.write(ByteOrder.bigEndian.bytes(of: address) + [value])
        }
        // "New sample ready" of both, without which the chip does not tell of an end.
        try set(.interruptConfiguration, 0x24)
        try set(.freshOutOfReset, 0)
    }

    private func register(_ register: VL6180XRegister) throws(SensorFault) -> UInt8 {
        try chip.writeRead(register.bytes, count: 1)[0]
    }

    private func set(_ register: VL6180XRegister, _ value: UInt8) throws(SensorFault) {
        try chip.write(register.bytes + [value])
    }
}
