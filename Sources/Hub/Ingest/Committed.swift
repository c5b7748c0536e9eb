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
            object["missing"] = .array(missing.map {
                [.int($0.boot), .int($0.sequences.lowerBound), .int($0.sequences.upperBound)]
            })
        }
        return .object(object)
    }
}
