import Glibc

/// How a process ended.
package enum ProgramEnding: Sendable, Hashable {
    case exited(Int32)
    case signaled(Int32)
    /// By the kernel with SIGKILL, as it took more memory than it may.
    case outOfMemory
    /// It is gone, but the system does not say how.
    case unknown(String)

    package var exitCode: Int32? { if case .exited(let code) = self { code } else { nil } }
    package var signal: Int32? {
        switch self {
        case .signaled(let signal): signal
        case .outOfMemory: SIGKILL
        case .exited, .unknown: nil
        }
    }

    func isExpected(_ exitCodes: Set<Int32>) -> Bool {
        exitCode.map(exitCodes.contains) ?? false
    }
}

extension ProgramEnding: CustomStringConvertible {
    package var description: String {
        switch self {
        case .exited(let code): "exit code \(code)"
        case .signaled(let signal): "killed by \(signalName(signal))"
        case .outOfMemory: "out of memory: killed at its limit"
        case .unknown(let reason): "ended, it is not known how: \(reason)"
        }
    }
}

/// As `signal 9 (SIGKILL)`. The numbers are Linux's own; those that differ between its architectures have no name here.
func signalName(_ signal: Int32) -> String {
    let names: [Int32: String] = [
        1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 8: "SIGFPE", 9: "SIGKILL",
        11: "SIGSEGV", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM",
    ]
    return names[signal].map { "signal \(signal) (\($0))" } ?? "signal \(signal)"
}

extension Duration {
    /// For people: `1 s`, `0.2 s`, `90 s`.
    package var inSeconds: String {
        let tenths = Int((self / .milliseconds(100)).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10) s" : "\(tenths / 10).\(tenths % 10) s"
    }
}
