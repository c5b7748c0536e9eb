import SensorKit

/// A knob that can be turned without end, perhaps with a button in it: an incremental encoder at two GPIO lines.
public struct RotaryEncoderDriver: Driver {
    public static let name = "rotary_encoder"
    public static let summary = "knob: incremental encoder at two GPIO lines, perhaps with a button"
    public static let defaultInterval = Duration.seconds(60)

    static let fields = [
        Field(name: "position", type: .int), Field(name: "pressed", type: .bool), Field(name: "presses", type: .int),
        Field(name: "lost_edges", type: .int),
    ]
    static let functions = [
        ControlFunction(name: "set_position", parameters: [Field(name: "position", type: .int)])
    ]
    private static let positions = -Int64(1 << 53)...Int64(1 << 53)

    private let request: LineRequest
    private let phasesPerStep: Int
    private let keepsPosition: Bool
    private let type: SensorType
    private let clock: WallClock
    private let hardware: any Hardware
    private var button: ContactLine?
    private var state: StateFile
    private var knob: Knob?
    /// Where it is while the lines are not held; nil before that is known.
    private var position: Int64?
    private var earlierLostEdges: Int64 = 0
    private var presses: Int64 = 0

    /// While the lines are held.
    private struct Knob {
        let lines: any GPIOLines
        var quadrature: Quadrature
    }

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields(Self.fields)
        try context.requireFunctions(among: Self.functions)
        context.warnOfSimilarAttributes(
            to: ContactLine.attributes + ["line_a", "line_b", "button", "phases_per_step", "keep_position"])
        let attributes = context.attributes
        let bias = try attributes.optional("bias").map(LineRequest.Bias.init) ?? .pullUp
        let isActiveLow = try attributes.optional("active_low")?.bool() ?? true
        let lines = [
            try LineReference(try attributes.required("line_a")), try LineReference(try attributes.required("line_b")),
        ]
        guard lines[0] != lines[1] else {
            throw ValidationError(path: "line_b", "is the same line as line_a: \(lines[0])")
        }
        request = LineRequest(
            lines, .input(.both), bias: bias, isActiveLow: isActiveLow, consumer: "sensorhub \(context.instance)")
        if try attributes.optional("button") != nil {
            button = try ContactLine(
                context, "button", isActiveLow: isActiveLow, bias: bias, debounce: .milliseconds(10))
        } else {
            for field in ["pressed", "presses"] where context.type.field(field) != nil {
                throw ValidationError(
                    path: "type.fields.\(field)", "needs the attribute 'button', the line that the button is at")
            }
        }
        let choices: [Int64] = [4, 2, 1]
        phasesPerStep = Int(choices[try attributes.optional("phases_per_step")?.index(among: choices) ?? 0])
        keepsPosition = try attributes.optional("keep_position")?.bool() ?? false
        type = context.type
        clock = context.clock
        hardware = context.hardware
        state = context.state
    }

    public var descriptors: [Int32] { (knob?.lines.descriptors ?? []) + (button?.descriptors ?? []) }

    public var wakeUp: Instant? { button?.deadline }

    /// What has happened, and how it stands.
    public mutating func read() throws(SensorFault) -> [Measurement] {
        try react() + [measurement(time: clock.now())]
    }

    /// Where the knob is after it was turned, and each change of the button.
    public mutating func react() throws(SensorFault) -> [Measurement] {
        var measurements: [Measurement] = []
        if let turned = try turn() { measurements.append(measurement(time: clock.time(at: turned))) }
        for change in try button?.changes() ?? [] {
            if change.value { presses += 1 }
            measurements.append(measurement(pressed: change.value, time: clock.time(at: change.time)))
        }
        return measurements
    }

    /// - Returns: when it was turned; nil where it was not.
    private mutating func turn() throws(SensorFault) -> Instant? {
        do throws(SensorFault) {
            if knob == nil { try take() }
            let before = knob!.quadrature.position
            let edges = try knob!.lines.edges()
            for edge in edges { knob!.quadrature.add(edge) }
            let values = try knob!.lines.values()
            let waiting = try knob!.lines.edges()
            for edge in waiting { knob!.quadrature.add(edge) }
            // With an edge waiting, the values may be newer ones.
            if waiting.isEmpty { knob!.quadrature.reconcile(with: values) }
            position = knob!.quadrature.position
            guard position != before else { return nil }
            save()
            return (edges + waiting).last?.time ?? .now
        } catch {
            earlierLostEdges += knob?.quadrature.lostEdges ?? 0
            knob = nil
            throw error
        }
    }

    private mutating func take() throws(SensorFault) {
        let lines = try hardware.takeLines(request)
        let values = try lines.values()
        // Those before the values were read are in them already.
        _ = try lines.edges()
        knob = Knob(
            lines: lines,
            quadrature: Quadrature(values, phasesPerStep: phasesPerStep, position: position ?? firstPosition))
    }

    private var firstPosition: Int64 {
        guard keepsPosition, let position = state.load()?["position"]?.int, Self.positions.contains(position) else {
            return 0
        }
        return position
    }

    private mutating func save() {
        if keepsPosition, let position { state.save(["position": .int(position)]) }
    }

    /// - Parameter pressed: nil for what it is now.
    private func measurement(pressed: Bool? = nil, time: Int64) -> Measurement {
        var values: JSONObject = [
            "position": .int(position ?? 0),
            "lost_edges": .int(
                earlierLostEdges + (knob?.quadrature.lostEdges ?? 0) + (button?.counts.lostEdges ?? 0)),
            "presses": .int(presses),
        ]
        if let pressed = pressed ?? button?.value { values["pressed"] = .bool(pressed) }
        return Measurement(type.select(values), time: time)
    }

    public mutating func control(_ call: ControlCall) throws(ControlError) {
        let position = try call.parameter("position") { (reader) throws(ValidationError) in
            try reader.int(Self.positions)
        }
        self.position = position
        knob?.quadrature.position = position
        save()
    }
}
