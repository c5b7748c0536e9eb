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

    private let type: SensorType
    private let clock: WallClock
    private var line: ContactLine
    /// Since the driver's start.
    private var changes: Int64 = 0

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields(Self.fields)
        try context.requireNoFunctions()
        context.warnOfSimilarAttributes(to: ["line"] + ContactLine.attributes)
        line = try ContactLine(context, "line")
        type = context.type
        clock = context.clock
    }

    public var descriptors: [Int32] { line.descriptors }

    public var wakeUp: Instant? { line.deadline }

    /// What has happened, and how it stands.
    public mutating func read() throws(SensorFault) -> [Measurement] {
        let measurements = try react()
        guard let value = line.value else { return measurements }
        return measurements + [measurement(value, line.counts, time: clock.now())]
    }

    /// The changes that have come to count.
    public mutating func react() throws(SensorFault) -> [Measurement] {
        var measurements: [Measurement] = []
        for change in try line.changes() {
            changes += 1
            measurements.append(measurement(change.value, change.counts, time: clock.time(at: change.time)))
        }
        return measurements
    }

    private func measurement(_ isActive: Bool, _ counts: ContactLine.Counts, time: Int64) -> Measurement {
        Measurement(
            type.select([
                "active": .bool(isActive), "changes": .int(changes), "bounces": .int(counts.bounces),
                "lost_edges": .int(counts.lostEdges),
            ]), time: time)
    }
}
