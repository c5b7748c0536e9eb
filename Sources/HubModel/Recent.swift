/// The newest values of a kind, by their keys.
public struct Recent<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private let capacity: Int
    private var values: [Key: Value] = [:]
    /// The oldest first.
    private var order: [Key] = []

    /// - Parameter capacity: how many are kept.
    public init(capacity: Int) {
        self.capacity = capacity
    }

    public subscript(key: Key) -> Value? { values[key] }

    /// Adds one, or another value for a key that is there, whose age stays.
    public mutating func add(_ key: Key, _ value: Value) {
        if values.updateValue(value, forKey: key) == nil { order.append(key) }
        if order.count > capacity { values[order.removeFirst()] = nil }
    }
}
