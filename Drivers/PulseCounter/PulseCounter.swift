import SensorKit

/// A meter that gives pulses: water, rain, electricity, gas. Its total is kept over restarts.
public struct PulseCounterDriver: Driver {
    public static let name = "pulse_counter"
    public static let summary = "flow, rain, energy meter with pulses at a GPIO line"
    public static let defaultInterval = Duration.seconds(10)

    static let fields = [
        Field(name: "total", type: .float), Field(name: "rate", type: .float), Field(name: "pulses", type: .int),
        Field(name: "bounces", type: .int), Field(name: "lost_edges", type: .int), Field(name: "unit", type: .string),
    ]
    static let functions = [
        ControlFunction(name: "set_total", parameters: [Field(name: "total", type: .float)])
    ]

    private let settings: Settings
    private let type: SensorType
    private let clock: WallClock
    private var line: ContactLine
    private var state: StateFile
    private var rate: PulseRate
    /// Nil until what was saved is read.
    private var meter: MeterTotal?
    private var lostRises: Int64 = 0

    private struct Settings {
        /// Of the unit per pulse.
        let factor: Double
        let unit: String
        let firstTotal: Double
        let ratePeriod: RatePeriod
        let publishesEachPulse: Bool
    }

    private enum RatePeriod: String, CaseIterable {
        case second, minute, hour

        var seconds: Double {
            switch self {
            case .second: 1
            case .minute: 60
            case .hour: 3_600
            }
        }
    }

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields(Self.fields)
        try context.requireFunctions(among: Self.functions)
        context.warnOfSimilarAttributes(
            to: ContactLine.attributes + [
                "line", "factor", "unit", "first_total", "rate_per", "rate_timeout_seconds", "each_pulse",
            ])
        let attributes = context.attributes
        line = try ContactLine(context, "line")
        settings = Settings(
            factor: try attributes.optional("factor").map(Self.factor) ?? 1,
            unit: try attributes.optional("unit")?.string() ?? "",
            firstTotal: try attributes.optional("first_total")?.double() ?? 0,
            ratePeriod: try attributes.optional("rate_per")?.choice(of: RatePeriod.self) ?? .hour,
            publishesEachPulse: try attributes.optional("each_pulse")?.bool() ?? false)
        let patience = try attributes.optional("rate_timeout_seconds")?.int(1...86_400) ?? 600
        rate = PulseRate(patience: .seconds(patience), start: .now)
        state = context.state
        type = context.type
        clock = context.clock
    }

    private static func factor(_ reader: DocumentReader) throws(ValidationError) -> Double {
        let factor = try reader.double()
        guard factor.isFinite, factor > 0 else { throw reader.error("must be more than 0, is \(factor)") }
        return factor
    }

    public var descriptors: [Int32] { line.descriptors }

    public var wakeUp: Instant? { line.deadline }

    public mutating func read() throws(SensorFault) -> [Measurement] {
        let now = Instant.now
        return try react() + [measurement(rate: rate.perSecond(at: now), time: clock.now())]
    }

    /// Counts. A reading for each pulse only where that is wanted: a meter can have thousands in a second.
    public mutating func react() throws(SensorFault) -> [Measurement] {
        if meter == nil { recall() }
        let before = meter!.pulses
        var measurements: [Measurement] = []
        for change in try line.changes() where change.value {
            count(1, at: change.time)
            if settings.publishesEachPulse {
                measurements.append(measurement(rate: nil, time: clock.time(at: change.time)))
            }
        }
        // Their edges were lost, but the edges around them say that they were.
        count(line.lostRises - lostRises, at: .now)
        lostRises = line.lostRises
        if meter!.pulses != before { state.save(meter!.saved) }
        return measurements
    }

    private mutating func recall() {
        meter =
            state.load().flatMap { MeterTotal($0, factor: settings.factor) }
            ?? MeterTotal(total: settings.firstTotal, factor: settings.factor)
    }

    private mutating func count(_ pulses: Int64, at time: Instant) {
        guard pulses > 0 else { return }
        meter!.add(pulses)
        rate.add(pulses, at: time)
    }

    /// - Parameter rate: pulses per second; nil where it is not known.
    private func measurement(rate: Double?, time: Int64) -> Measurement {
        var values: JSONObject = [
            "total": .double(meter!.total), "pulses": .int(meter!.pulses), "bounces": .int(line.counts.bounces),
            "lost_edges": .int(line.counts.lostEdges), "unit": .string(settings.unit),
        ]
        if let rate { values["rate"] = .double(rate * settings.factor * settings.ratePeriod.seconds) }
        return Measurement(type.select(values), time: time)
    }

    public mutating func control(_ call: ControlCall) throws(ControlError) {
        let total = try call.parameter("total") { (reader) throws(ValidationError) in try reader.double() }
        guard total.isFinite else { throw .refused("total: must be a number") }
        if meter == nil { recall() }
        meter!.set(total: total)
        state.save(meter!.saved)
    }
}
