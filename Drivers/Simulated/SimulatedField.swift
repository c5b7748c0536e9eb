import SensorKit

/// A field of a simulated sensor.
struct SimulatedField {
    /// A part of another field's value that is added to this one's.
    struct Addition {
        /// The other field's index.
        let index: Int
        let factor: Double
    }

    let field: Field
    let pattern: Pattern
    let additions: [Addition]
    /// Set by a control call: holds instead of the pattern from then on.
    var override: JSON?

    /// - Parameter reader: the field's pattern; nil for a field without one.
    init(_ field: Field, _ reader: DocumentReader?, among fields: [Field]) throws(ValidationError) {
        self.field = field
        guard let reader else {
            pattern = .zero(of: field.type)
            additions = []
            return
        }
        pattern = try Pattern(reader, for: field)
        additions =
            try reader.optional("add").map { (add) throws(ValidationError) in
                guard field.isNumeric else { throw add.error("'\(field.name)' is \(field.type.rawValue), no number") }
                return try Self.additions(add, among: fields)
            } ?? []
    }

    private static func additions(
        _ reader: DocumentReader, among fields: [Field]
    ) throws(ValidationError) -> [Addition] {
        var additions: [Addition] = []
        for (name, factor) in try reader.members() {
            let index = try factor.index(of: name, among: fields)
            guard fields[index].type != .string else { throw factor.error("'\(name)' is text, which cannot be added") }
            additions.append(Addition(index: index, factor: try factor.number()))
        }
        return additions
    }

    /// - Parameters:
    ///   - time: microseconds since 1970.
    ///   - others: the values of the fields that are added to this one, by index.
    func value(at time: Int64, others: [JSON]) -> JSON {
        if let override { return override }
        let value = pattern.value(at: time)
        guard field.isNumeric, let number = value.double else { return value }
        let sum = additions.reduce(number) { $0 + $1.factor * Self.number(others[$1.index]) }
        return field.type == .int ? .int(Self.whole(sum)) : .double(sum)
    }

    /// True and false count as 1 and 0.
    private static func number(_ value: JSON) -> Double {
        value.double ?? (value.bool == true ? 1 : 0)
    }

    private static func whole(_ number: Double) -> Int64 {
        Int64(exactly: number.rounded()) ?? (number > 0 ? .max : .min)
    }
}

private enum Visit {
    case none, begun, done
}

extension [SimulatedField] {
    /// Reads the attribute `simulate`: `{field: pattern}`.
    init(_ reader: DocumentReader?, for fields: [Field]) throws(ValidationError) {
        let members = try reader?.members() ?? []
        for (name, value) in members { _ = try value.index(of: name, among: fields) }
        self = []
        for field in fields {
            append(try SimulatedField(field, members.first { $0.key == field.name }?.value, among: fields))
        }
    }

    /// The indices in an order in which each field comes after those that are added to it.
    func inOrderOfAdditions() throws(ValidationError) -> [Int] {
        var visits = [Visit](repeating: .none, count: count)
        var order: [Int] = []
        // Fields are at most a few hundred, so the depth is bounded.
        func visit(_ index: Int) throws(ValidationError) {
            switch visits[index] {
            case .done: return
            case .begun:
                throw ValidationError(
                    path: "simulate.\(self[index].field.name).add",
                    "goes round in a circle: '\(self[index].field.name)' is added to itself")
            case .none: visits[index] = .begun
            }
            for addition in self[index].additions { try visit(addition.index) }
            visits[index] = .done
            order.append(index)
        }
        for index in indices { try visit(index) }
        return order
    }
}

extension DocumentReader {
    /// The index of the field with this name.
    func index(of name: String, among fields: [Field]) throws(ValidationError) -> Int {
        if let index = fields.firstIndex(where: { $0.name == name }) { return index }
        let names = fields.map(\.name)
        throw error("the type has no field '\(name.prefix(80))'\(didYouMean(name, among: names))")
    }
}
