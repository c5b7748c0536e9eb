public import SimdJSON

/// A sensor that a position could have.
public struct Candidate: Sendable, Hashable {
    public let id: Identifier
    public let type: Identifier
    public let attributes: JSONObject

    public init(id: Identifier, type: Identifier, attributes: JSONObject) {
        self.id = id
        self.type = type
        self.attributes = attributes
    }
}

/// Why a deployment cannot be bound.
public struct BindingShortage: Error, Hashable, CustomStringConvertible {
    public let position: Int
    public let query: PositionQuery
    /// How many sensors of the type match the filter, and how many of them were left for this position.
    public let matching: Int
    public let available: Int

    public var description: String {
        let filter = query.filter.isEmpty ? "" : " with \(JSON.object(query.filter))"
        let taken =
            matching > available ? ", of which \(matching - available) already stand at an earlier position" : ""
        return "position \(position) needs \(query.count.minimum) of type '\(query.sensorType)'\(filter), "
            + "\(matching) found\(taken)"
    }
}

/// Decides which sensors stand at which position of an algorithm instance: a pure function of queries, candidates and
/// what was bound before.
public enum Binder {
    /// True where `sensor` is what `query` asks for: the type is the same, and every attribute of the filter is among
    /// the sensor's, as PostgreSQL's `attributes @> filter` has it for the values of one level.
    public static func matches(_ query: PositionQuery, _ sensor: Candidate) -> Bool {
        sensor.type == query.sensorType && query.filter.allSatisfy { sensor.attributes[$0.key] == $0.value }
    }

    /// Binds each position, keeping sensors that were bound before and still match. No sensor stands at two positions
    /// of one instance.
    ///
    /// - Parameters:
    ///   - candidates: all registered sensors, in the order of registration.
    ///   - current: what is bound now, by position; empty for a new instance.
    /// - Returns: sensor ids by position; a position that can no longer be filled has fewer than it asks for.
    public static func bind(
        _ queries: [PositionQuery], to candidates: [Candidate], current: [[Identifier]] = []
    ) -> [[Identifier]] {
        let byID = Dictionary(candidates.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        var taken: Set<Identifier> = []
        var result: [[Identifier]] = []
        for (index, query) in queries.enumerated() {
            let before = index < current.count ? current[index] : []
            let kept = before.filter { id in byID[id].map { matches(query, $0) } ?? false }
            result.append(query.count.maximum.map { Array(kept.prefix($0)) } ?? kept)
            taken.formUnion(result[index])
        }
        for (index, query) in queries.enumerated() {
            for candidate in candidates {
                guard query.count.maximum.map({ result[index].count < $0 }) ?? true else { break }
                if !taken.contains(candidate.id), matches(query, candidate) {
                    result[index].append(candidate.id)
                    taken.insert(candidate.id)
                }
            }
        }
        return result
    }

    /// The first position that has fewer sensors than it must have, or nil.
    public static func shortage(
        of queries: [PositionQuery], in binding: [[Identifier]], among candidates: [Candidate]
    ) -> BindingShortage? {
        for (index, query) in queries.enumerated() where binding[index].count < query.count.minimum {
            let matching = candidates.count { matches(query, $0) }
            return BindingShortage(
                position: index, query: query, matching: matching, available: binding[index].count)
        }
        return nil
    }
}
