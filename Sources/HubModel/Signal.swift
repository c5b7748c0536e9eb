import Glibc

/// A signal that can be sent to a program (signal(7)).
public struct Signal: Sendable, Hashable, CustomStringConvertible {
    public let number: Int32

    private static let names: [(name: String, number: Int32)] = [
        ("HUP", SIGHUP), ("INT", SIGINT), ("QUIT", SIGQUIT), ("ILL", SIGILL), ("TRAP", SIGTRAP), ("ABRT", SIGABRT),
        ("BUS", SIGBUS), ("FPE", SIGFPE), ("KILL", SIGKILL), ("USR1", SIGUSR1), ("SEGV", SIGSEGV), ("USR2", SIGUSR2),
        ("PIPE", SIGPIPE), ("ALRM", SIGALRM), ("TERM", SIGTERM), ("CHLD", SIGCHLD), ("CONT", SIGCONT),
        ("STOP", SIGSTOP), ("TSTP", SIGTSTP), ("TTIN", SIGTTIN), ("TTOU", SIGTTOU), ("URG", SIGURG),
        ("XCPU", SIGXCPU), ("XFSZ", SIGXFSZ), ("VTALRM", SIGVTALRM), ("PROF", SIGPROF), ("WINCH", SIGWINCH),
        ("IO", SIGIO), ("PWR", SIGPWR), ("SYS", SIGSYS),
    ]

    /// - Parameter number: 1 to 64, the numbers that Linux has.
    public init?(number: Int32) {
        guard (1...64).contains(number) else { return nil }
        self.number = number
    }

    /// Reads `HUP`, `SIGHUP`, `hup` or `1`.
    ///
    /// - Throws: `ValidationError` that names the nearest one.
    public init(_ text: String) throws(ValidationError) {
        if let number = Int32(text), let signal = Signal(number: number) {
            self = signal
            return
        }
        let word = text.uppercased()
        let name = word.hasPrefix("SIG") ? String(word.dropFirst(3)) : word
        guard let known = Self.names.first(where: { $0.name == name }) else {
            let hint = didYouMean(name, among: Self.names.map(\.name))
            throw ValidationError("'\(text.prefix(80))' is no signal\(hint)")
        }
        number = known.number
    }

    /// `SIGHUP`, or the number where there is no name.
    public var description: String {
        Self.names.first { $0.number == number }.map { "SIG\($0.name)" } ?? String(number)
    }
}
