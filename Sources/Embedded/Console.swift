/// Where progress and trouble are told to the person who has started a hub.
public struct Console: Sendable {
    private let write: @Sendable (_ line: String, _ isWarning: Bool) -> Void

    /// - Parameter write: may be called from several threads at once, and must not block for long.
    public init(_ write: @escaping @Sendable (_ line: String, _ isWarning: Bool) -> Void) {
        self.write = write
    }

    /// What goes on.
    func say(_ line: String) { write(line, false) }

    /// What goes wrong.
    func warn(_ line: String) { write(line, true) }
}
