import CPQ

/// What PostgreSQL or the connection to it refused.
public struct PostgresError: Error, Hashable, CustomStringConvertible {
    /// SQLSTATE; empty where the connection itself failed.
    public let state: String
    public let message: String
    public let detail: String
    /// The constraint that was violated, where one was.
    public let constraint: String

    /// The server cannot be reached, went away or is starting or stopping: worth another try later.
    public var isUnavailable: Bool {
        state.isEmpty || state.hasPrefix("08") || state.hasPrefix("57P")
    }

    /// Another transaction was in the way; the same once more may go well.
    public var isConflict: Bool { state.hasPrefix("40") }

    public var description: String {
        detail.isEmpty ? message : "\(message) (\(detail))"
    }

    /// A transaction that was to be committed had failed before, whatever its body made of that.
    static let failedTransaction = PostgresError(
        state: "25P02", message: "the transaction was not committed: a statement in it had failed", detail: "",
        constraint: "")

    private init(state: String, message: String, detail: String, constraint: String) {
        self.state = state
        self.message = message
        self.detail = detail
        self.constraint = constraint
    }

    init(connection: OpaquePointer?) {
        state = ""
        message = Self.trimmed(PQerrorMessage(connection))
        detail = ""
        constraint = ""
    }

    init(result: OpaquePointer?, connection: OpaquePointer) {
        func field(_ name: Character) -> String {
            Self.trimmed(PQresultErrorField(result, Int32(name.asciiValue!)))
        }
        state = field("C")
        let message = field("M")
        self.message = message.isEmpty ? Self.trimmed(PQerrorMessage(connection)) : message
        detail = field("D")
        constraint = field("n")
    }

    private static func trimmed(_ text: UnsafePointer<CChar>?) -> String {
        guard let text else { return "" }
        let string = String(cString: text)
        return String(string.reversed().drop { $0.isWhitespace }.reversed())
    }
}
