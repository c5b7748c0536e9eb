import SensorKit

/// A contact or a logic level at a GPIO line: button, door contact, motion detector. Each change is published with the
/// kernel's time of it.
public struct DigitalInputDriver: Driver {
    public static let name = "digital_input"
    public static let summary = "button, door contact, motion detector at a GPIO line"
    public static let defaultInterval = Duration.seconds(60)

    static let fields = [
        Field(name: "active", type: .bool), Field(name: "changes", type: .int), Field(name: "bounces", type: .int),
        Field(name: "lost_edges", type: .int),
    ]

    private let request: LineRequest
    private let debouncePeriod: Duration
    private let type: SensorType
    private let clock: WallClock
    private let hardware: any Hardware
    private var lossTally: Tally
    private var input: Input?
    private var counts = Counts()

    /// While the line is held.
    private struct Input {
        let line: any GPIOLines
        var ledger: EdgeLedger
        var debounce: Debounce
    }

    /// Since the driver's start.
    private struct Counts {
        var changes: Int64 = 0
        /// Without those of `input`.
        var bounces: Int64 = 0
        var lostEdges: Int64 = 0
    }

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields(Self.fields)
        try context.requireNoFunctions()
        context.warnOfSimilarAttributes(to: ["line", "active_low", "bias", "debounce_ms"])
        let attributes = context.attributes
        request = LineRequest(
            [try LineReference(try attributes.required("line"))], .input(.both),
            bias: try attributes.optional("bias").map(LineRequest.Bias.init) ?? .asIs,
            isActiveLow: try attributes.optional("active_low")?.bool() ?? false,
            consumer: "sensorhub \(context.instance)")
        debouncePeriod = .milliseconds(try attributes.optional("debounce_ms")?.int(0...10_000) ?? 0)
        type = context.type
        clock = context.clock
        hardware = context.hardware
        lossTally = Tally("edges were lost, because they came faster than they could be read", log: context.log)
    }

    public var descriptors: [Int32] { input?.line.descriptors ?? [] }

    public var wakeUp: Instant? { input?.debounce.deadline }

    /// What has happened, and how it stands.
    public mutating func read() throws(SensorFault) -> [Measurement] {
        var measurements = input == nil ? try take() : []
        measurements += try react()
        measurements.append(measurement(time: clock.now()))
        return measurements
    }

    /// The changes that have come to count.
    public mutating func react() throws(SensorFault) -> [Measurement] {
        // Before the edges are taken: all that happened until then are among them.
        let now = Instant.now
        let measurements = process(try ask { (line) throws(SensorFault) in try line.edges() }, until: now)
        return measurements + (try reconcile())
    }

    private mutating func take() throws(SensorFault) -> [Measurement] {
        let line = try hardware.takeLines(request)
        let value = try line.values()[0]
        let edges = try line.edges()
        // The value may have been read after the first of them.
        let first = edges.first.map { !$0.value } ?? value
        input = Input(
            line: line, ledger: EdgeLedger(value: first), debounce: Debounce(value: first, period: debouncePeriod))
        return process(edges, until: .now)
    }

    /// A line that cannot be read is let go, to be taken anew.
    private mutating func ask<Answer>(
        _ question: (any GPIOLines) throws(SensorFault) -> Answer
    ) throws(SensorFault) -> Answer {
        guard let line = input?.line else { throw SensorFault("line \(request.lines[0]) is not held") }
        do throws(SensorFault) {
            return try question(line)
        } catch {
            counts.bounces += input!.debounce.bounces
            input = nil
            throw error
        }
    }

    private mutating func process(_ edges: [Edge], until now: Instant) -> [Measurement] {
        var measurements: [Measurement] = []
        for edge in edges {
            lost(input!.ledger.add(edge))
            count(input!.debounce.add(value: edge.value, time: edge.time), into: &measurements)
        }
        count(input!.debounce.advance(to: now), into: &measurements)
        return measurements
    }

    private mutating func count(_ change: Debounce.Change?, into measurements: inout [Measurement]) {
        guard let change else { return }
        counts.changes += 1
        measurements.append(measurement(time: clock.time(at: change.time)))
    }

    /// Finds a line that has changed although no edge has said so: the last ones of a burst may be lost.
    private mutating func reconcile() throws(SensorFault) -> [Measurement] {
        let value = try ask { (line) throws(SensorFault) in try line.values()[0] }
        // With an edge waiting, the value may be a newer one; that edge will tell.
        let waiting = try ask { (line) throws(SensorFault) in try line.edges() }
        guard waiting.isEmpty, value != input!.ledger.value else { return process(waiting, until: .now) }
        lost(input!.ledger.reconcile(with: value))
        var measurements: [Measurement] = []
        count(input!.debounce.add(value: value, time: .now), into: &measurements)
        return measurements
    }

    private mutating func lost(_ number: Int64) {
        counts.lostEdges += number
        lossTally.add(Int(number), at: .now)
    }

    private func measurement(time: Int64) -> Measurement {
        Measurement(
            type.select([
                "active": .bool(input!.debounce.value), "changes": .int(counts.changes),
                "bounces": .int(counts.bounces + input!.debounce.bounces), "lost_edges": .int(counts.lostEdges),
            ]), time: time)
    }
}
