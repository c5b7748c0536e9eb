import HubModel
import SimdJSON

/// How far a sensor's readings are in the database; what its driver is told.
struct Committed: Sendable {
    var boot: Int64
    var sequence: Int64
    /// Numbers below that which are not.
    var missing: [(boot: Int64, sequences: ClosedRange<Int64>)]

    var json: JSON {
        var object: JSONObject = ["boot": .int(boot), "seq": .int(sequence)]
        if !missing.isEmpty {
            object["missing"] = .array(
                missing.map {
                    [.int($0.boot), .int($0.sequences.lowerBound), .int($0.sequences.upperBound)]
                })
        }
        return .object(object)
    }
}

/// What drivers are to be told, the newest for each sensor. Told in the order in which they began to wait, but those first
/// that have something to send again.
struct CommittedQueue: Sendable {
    private var waiting: [Identifier: Committed] = [:]
    private var urgent: [Identifier] = []
    private var others: [Identifier] = []

    mutating func add(_ sensors: [(Identifier, Committed)]) {
        for (sensor, committed) in sensors {
            let former = waiting.updateValue(committed, forKey: sensor)
            // One that becomes urgent stands in both; where it comes up for the second time, nothing waits any more.
            if !committed.missing.isEmpty, former?.missing.isEmpty ?? true {
                urgent.append(sensor)
            } else if former == nil {
                others.append(sensor)
            }
        }
    }

    mutating func take(atMost count: Int) -> [(Identifier, Committed)] {
        let first = take(count, from: \.urgent)
        return first + take(count - first.count, from: \.others)
    }

    private mutating func take(
        _ count: Int, from queue: WritableKeyPath<Self, [Identifier]>
    ) -> [(Identifier, Committed)] {
        var taken: [(Identifier, Committed)] = []
        var seen = 0
        for sensor in self[keyPath: queue] {
            guard taken.count < count else { break }
            seen += 1
            if let committed = waiting.removeValue(forKey: sensor) { taken.append((sensor, committed)) }
        }
        self[keyPath: queue].removeFirst(seen)
        return taken
    }
}
