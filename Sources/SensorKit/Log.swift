import Glibc

/// Lines for people. `sensor-driver` writes them to standard output and standard error, where the agent picks them up.
public struct Log: Sendable {
    public enum Stream: Sendable, Hashable {
        case output, error
    }

    private let write: @Sendable (Stream, String) -> Void

    /// - Parameter write: takes one line, without its end.
    public init(_ write: @escaping @Sendable (Stream, String) -> Void) {
        self.write = write
    }

    /// Standard output and standard error.
    public static let standard = Log { stream, line in
        let line = Array((line + "\n").utf8)
        // One call for the line, so that lines of two threads do not mix. A reader that has gone is no reason to stop.
        _ = Glibc.write(stream == .output ? STDOUT_FILENO : STDERR_FILENO, line, line.count)
    }

    /// What happened.
    public func info(_ text: String) { write(.output, Self.line(text)) }

    /// What went wrong.
    public func error(_ text: String) { write(.error, Self.line(text)) }

    /// Text from outside may have line ends in it, and may be long.
    private static func line(_ text: String) -> String {
        var line = String.UnicodeScalarView()
        for scalar in text.unicodeScalars.prefix(2_000) {
            line.append(scalar.value < 0x20 || scalar.value == 0x7F ? " " : scalar)
        }
        return String(line)
    }
}
