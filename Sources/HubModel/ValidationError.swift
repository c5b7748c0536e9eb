/// A document that a person or program handed in is wrong: where, and what was expected.
public struct ValidationError: Error, Hashable, CustomStringConvertible {
    /// The place in the document, as `[3].sensor_type`; empty for the document itself.
    public let path: String
    public let reason: String

    public init(path: String = "", _ reason: String) {
        self.path = path
        self.reason = reason
    }

    public var description: String { path.isEmpty ? reason : "\(path): \(reason)" }
}

/// ` (did you mean 'x'?)` for the candidate that is nearest to `word`, or nothing when none is near.
public func didYouMean(_ word: String, among candidates: some Sequence<String>) -> String {
    let limit = max(1, word.count / 3)
    let nearest = candidates.map { (word: $0, distance: editDistance(word.lowercased(), $0.lowercased())) }
        .min { $0.distance < $1.distance }
    guard let nearest, nearest.distance <= limit else { return "" }
    return " (did you mean '\(nearest.word)'?)"
}

/// Levenshtein's distance, with the swap of two neighbours counted as one step (optimal string alignment).
func editDistance(_ left: String, _ right: String) -> Int {
    // What a stranger sends may be long; nothing that long is a slip of the finger.
    guard left.utf8.count <= 128, right.utf8.count <= 128 else { return Int.max }
    let left = Array(left), right = Array(right)
    guard !left.isEmpty, !right.isEmpty else { return max(left.count, right.count) }
    var beforePrevious: [Int] = []
    var previous = Array(0...right.count)
    for i in 1...left.count {
        var current = [i]
        for j in 1...right.count {
            var best = min(
                previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (left[i - 1] == right[j - 1] ? 0 : 1))
            if i > 1, j > 1, left[i - 1] == right[j - 2], left[i - 2] == right[j - 1] {
                best = min(best, beforePrevious[j - 2] + 1)
            }
            current.append(best)
        }
        (beforePrevious, previous) = (previous, current)
    }
    return previous[right.count]
}
