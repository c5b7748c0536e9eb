/// A field whose value is not as it should be.
public struct FieldAlert: Sendable, Hashable {
    public enum Level: String, Sendable, Comparable {
        case normal, warning, error

        private var rank: Int {
            switch self {
            case .normal: 0
            case .warning: 1
            case .error: 2
            }
        }

        public static func < (left: Level, right: Level) -> Bool { left.rank < right.rank }
    }

    public let field: String
    public let level: Level
    /// For people.
    public let reason: String

    public init(field: String, level: Level, reason: String) {
        self.field = field
        self.level = level
        self.reason = reason
    }

    var json: JSON { ["field": .string(field), "level": .string(level.rawValue), "reason": .string(reason)] }
}
