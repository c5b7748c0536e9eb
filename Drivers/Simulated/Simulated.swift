import SensorKit

/// A sensor that measures nothing: its values follow patterns from its attributes. For trying out apps, and for tests.
/// README.md has the patterns.
public struct SimulatedDriver: Driver {
    public static let name = "simulated"
    public static let summary = "no sensor: values that follow patterns, for trying out apps"
    public static let defaultInterval = Duration.seconds(1)

    private var fields: [SimulatedField]
    /// Indices of `fields`: each after those that are added to it.
    private let order: [Int]
    private let rules: [ControlRule]
    private let clock: WallClock

    public init(_ context: DriverContext) throws(ValidationError) {
        context.warnOfSimilarAttributes(to: ["simulate", "on_control"])
        let fields = try [SimulatedField](try context.attributes.optional("simulate"), for: context.type.fields)
        self.fields = fields
        order = try fields.inOrderOfAdditions()
        rules = try [ControlRule](try context.attributes.optional("on_control"), type: context.type)
        clock = context.clock
    }

    public mutating func read() throws(SensorFault) -> [Measurement] {
        let time = clock.now()
        var values = [JSON](repeating: .null, count: fields.count)
        for index in order { values[index] = fields[index].value(at: time, others: values) }
        return [Measurement(JSONObject(zip(fields.map(\.field.name), values).map { ($0, $1) }), time: time)]
    }

    public mutating func control(_ call: ControlCall) throws(ControlError) {
        guard let rule = rules.first(where: { $0.function == call.function }) else {
            throw .refused("there is no function '\(call.function)'")
        }
        rule.apply(call.parameters, to: &fields)
    }
}
