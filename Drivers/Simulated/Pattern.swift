import Glibc
import SensorKit

/// How a simulated value goes with time. The phase comes from the time of day, so that it goes on smoothly after a
/// restart, and sensors with the same pattern go in step.
enum Pattern: Hashable {
    case constant(JSON)
    /// From the middle up to `max`, down to `min`, and back, once in each period.
    case sine(min: Double, max: Double, periodSeconds: Double)
    /// Evenly from `min` to `max`, then from `min` again.
    case ramp(min: Double, max: Double, periodSeconds: Double)
    /// Anything from `min` to `max`, each as likely as the other.
    case random(min: Double, max: Double)
    /// One value after the other, and again from the first.
    case steps([JSON], everySeconds: Double)

    /// - Parameter time: microseconds since 1970.
    func value(at time: Int64) -> JSON {
        switch self {
        case .constant(let value): value
        case .sine(let min, let max, let period):
            .double(min + (max - min) * (0.5 + 0.5 * sin(2 * .pi * Self.phase(time, period))))
        case .ramp(let min, let max, let period): .double(min + (max - min) * Self.phase(time, period))
        case .random(let min, let max): .double(.random(in: min...max))
        case .steps(let values, let every):
            values[Int((Double(time) / (every * 1e6)).rounded(.down)) % values.count]
        }
    }

    /// From 0 to just under 1.
    private static func phase(_ time: Int64, _ periodSeconds: Double) -> Double {
        let turns = Double(time) / (periodSeconds * 1e6)
        return turns - turns.rounded(.down)
    }
}

extension Pattern {
    private static let names = ["constant", "sine", "ramp", "random", "steps"]

    /// What a field holds that has no pattern.
    static func zero(of type: FieldType) -> Pattern {
        switch type {
        case .string: .constant("")
        case .int: .constant(0)
        case .float: .constant(0.0)
        case .bool: .constant(false)
        }
    }

    /// Reads `{"pattern": name, …}` for a field. The key `add` is read by `SimulatedField`.
    init(_ reader: DocumentReader, for field: Field) throws(ValidationError) {
        let word = try reader.required("pattern")
        let name = try word.string()
        func allow(_ keys: String...) throws(ValidationError) { try reader.allowOnly(["pattern", "add"] + keys) }
        func needNumericField() throws(ValidationError) {
            guard field.isNumeric else {
                throw word.error(
                    "'\(name)' makes numbers, but '\(field.name)' is \(field.type.rawValue): "
                        + "'constant' and 'steps' can do that")
            }
        }

        switch name {
        case "constant":
            try allow("value")
            self = .constant(try reader.required("value").value(for: field))
        case "sine", "ramp":
            try allow("min", "max", "period_seconds")
            try needNumericField()
            let (min, max) = try Self.range(reader)
            let period = try reader.required("period_seconds").seconds()
            self =
                name == "sine"
                ? .sine(min: min, max: max, periodSeconds: period) : .ramp(min: min, max: max, periodSeconds: period)
        case "random":
            try allow("min", "max")
            try needNumericField()
            let (min, max) = try Self.range(reader)
            self = .random(min: min, max: max)
        case "steps":
            try allow("values", "every_seconds")
            let list = try reader.required("values")
            var values: [JSON] = []
            for item in try list.items() { values.append(try item.value(for: field)) }
            guard !values.isEmpty else { throw list.error("at least one value is needed") }
            self = .steps(values, everySeconds: try reader.required("every_seconds").seconds())
        default:
            throw word.error(
                "'\(name.prefix(80))' is no pattern: \(Self.names.joined(separator: ", "))"
                    + didYouMean(name, among: Self.names))
        }
    }

    private static func range(_ reader: DocumentReader) throws(ValidationError) -> (min: Double, max: Double) {
        let min = try reader.required("min").number()
        let maxReader = try reader.required("max")
        let max = try maxReader.number()
        guard min <= max else { throw maxReader.error("must not be below 'min', which is \(min)") }
        return (min, max)
    }
}

extension Field {
    var isNumeric: Bool { type == .int || type == .float }
}

extension DocumentReader {
    /// Larger numbers lose their last digits in a double, and could leave the range of a whole number when added up.
    private static let limit = 1e15

    func number() throws(ValidationError) -> Double {
        let number = try double()
        guard abs(number) <= Self.limit else { throw error("must be from -1e15 to 1e15, is \(number)") }
        return number
    }

    func seconds() throws(ValidationError) -> Double {
        let seconds = try double()
        guard (0.001...1e9).contains(seconds) else { throw error("must be from 0.001 to 1e9 seconds, is \(seconds)") }
        return seconds
    }

    /// A value as it stands in a reading's field.
    func value(for field: Field) throws(ValidationError) -> JSON {
        guard field.type.accepts(value) else {
            throw error("expected \(field.type.expectation) for '\(field.name)', found \(value.kind)")
        }
        if field.isNumeric { _ = try number() }
        return field.stored(value)
    }
}

extension Field {
    /// `value` in the form that a reading has: a `float` field takes whole numbers too.
    func stored(_ value: JSON) -> JSON {
        type == .float ? value.double.map(JSON.double) ?? value : value
    }
}
