import SensorKit

/// An input line whose changes are watched, debounced, with the edges that were lost counted. The line is taken when it
/// is first asked, and anew after it could not be read. A line that has no edges can be looked at in between instead.
struct ContactLine {
    private let request: LineRequest
    private let period: Duration
    /// How often the line is looked at where it has no edges; nil where it has.
    private let pollPeriod: Duration?
    private let hardware: any Hardware
    private var tally: Tally
    private var held: Held?
    private var earlierBounces: Int64 = 0
    /// Those that were not asked for yet.
    private var pending: [Change] = []
    /// Edges that are known to be lost.
    private var lostEdges: Int64 = 0
    /// Those of them that were to the value true. Without debouncing each was a change; with it, nobody knows.
    private(set) var lostRises: Int64 = 0

    private struct Held {
        let line: any GPIOLines
        var ledger: EdgeLedger
        var debounce: Debounce
        /// When to look at the line, where that is done.
        var nextPoll: Instant?
    }

    struct Change {
        let value: Bool
        /// Of the edge after which the line kept the value.
        let time: Instant
        /// As they were then.
        let counts: Counts
    }

    /// Since the driver's start.
    struct Counts {
        /// Edges that were none, as the line did not keep its value.
        let bounces: Int64
        /// Edges that are known to be lost.
        let lostEdges: Int64
    }

    /// The attributes that it reads, along with that of the line.
    static let attributes = ["active_low", "bias", "debounce_ms", "poll_ms"]

    /// - Parameters:
    ///   - attribute: the one that names the line.
    ///   - debounce: where the instance does not say.
    init(
        _ context: DriverContext, _ attribute: String, isActiveLow: Bool = false, bias: LineRequest.Bias = .asIs,
        debounce: Duration = .zero
    ) throws(ValidationError) {
        let attributes = context.attributes
        pollPeriod = try attributes.optional("poll_ms").map { (reader) throws(ValidationError) in
            .milliseconds(try reader.int(1...10_000))
        }
        request = LineRequest(
            [try LineReference(try attributes.required(attribute))], .input(pollPeriod == nil ? .both : .none),
            bias: try attributes.optional("bias").map(LineRequest.Bias.init) ?? bias,
            isActiveLow: try attributes.optional("active_low")?.bool() ?? isActiveLow,
            consumer: "sensorhub \(context.instance)")
        period = try attributes.optional("debounce_ms").map(Self.period) ?? debounce
        hardware = context.hardware
        tally = Tally("edges were lost, because they came faster than they could be read", log: context.log)
    }

    private static func period(_ reader: DocumentReader) throws(ValidationError) -> Duration {
        .nanoseconds(Int64(try reader.number(in: 0...10_000) * 1e6))
    }

    /// What counts now; nil while the line is not held.
    var value: Bool? { held?.debounce.value }

    var counts: Counts { Counts(bounces: bounces, lostEdges: lostEdges) }

    private var bounces: Int64 { earlierBounces + (held?.debounce.bounces ?? 0) }

    /// For `Driver.descriptors`.
    var descriptors: [Int32] { held?.line.descriptors ?? [] }

    /// For `Driver.wakeUp`.
    var deadline: Instant? { [held?.debounce.deadline, held?.nextPoll].compactMap(\.self).min() }

    /// The changes that have come to count since it was last asked. None goes missing with a line that fails after.
    mutating func changes() throws(SensorFault) -> [Change] {
        do throws(SensorFault) {
            if held == nil { try take() }
            if let pollPeriod { try poll(every: pollPeriod) } else { try takeEdges() }
        } catch {
            earlierBounces = bounces
            held = nil
            throw error
        }
        defer { pending = [] }
        return pending
    }

    private mutating func takeEdges() throws(SensorFault) {
        // Before the edges are taken: all that happened until then are among them.
        let now = Instant.now
        process(try held!.line.edges(), until: now)
        try reconcile()
    }

    /// A change is dated when it was seen. One that is over until the next look is not seen, and not known to be lost.
    private mutating func poll(every period: Duration) throws(SensorFault) {
        let value = try held!.line.values()[0]
        let now = Instant.now
        if held!.ledger.reconcile(with: value) { count(held!.debounce.add(value: value, time: now)) }
        count(held!.debounce.advance(to: now))
        held!.nextPoll = now + period
    }

    private mutating func take() throws(SensorFault) {
        let line = try hardware.takeLines(request)
        let value = try line.values()[0]
        let edges = pollPeriod == nil ? try line.edges() : []
        // The value may have been read after the first of them.
        let first = edges.first.map { !$0.value } ?? value
        held = Held(line: line, ledger: EdgeLedger(value: first), debounce: Debounce(value: first, period: period))
        process(edges, until: .now)
    }

    private mutating func process(_ edges: [Edge], until now: Instant) {
        for edge in edges {
            let before = held!.ledger.value
            lost(held!.ledger.add(edge), after: before)
            count(held!.debounce.add(value: edge.value, time: edge.time))
        }
        count(held!.debounce.advance(to: now))
    }

    private mutating func count(_ change: Debounce.Change?) {
        guard let change else { return }
        pending.append(Change(value: change.value, time: change.time, counts: counts))
    }

    /// Finds a line that has changed although no edge has said so: the last ones of a burst may be lost.
    private mutating func reconcile() throws(SensorFault) {
        let value = try held!.line.values()[0]
        // With an edge waiting, the value may be a newer one; that edge will tell.
        let waiting = try held!.line.edges()
        guard waiting.isEmpty else { return process(waiting, until: .now) }
        if held!.ledger.reconcile(with: value) { count(held!.debounce.add(value: value, time: .now)) }
    }

    /// - Parameter before: the value before the first of them; edges alternate.
    private mutating func lost(_ number: Int64, after before: Bool) {
        guard number > 0 else { return }
        lostEdges += number
        lostRises += (number + (before ? 0 : 1)) / 2
        tally.add(Int(number), at: .now)
    }
}
