import Glibc
public import HubModel

/// How a watched program is.
public struct ProgramStatus: Sendable, Hashable {
    public var state: ProgramState
    /// Why it is in this state, for people.
    public var reason: String
    /// While it has a process.
    public var pid: Int32?
    /// Microseconds since 1970: since when it is in this state.
    public var since: Int64
    /// Counts the starts.
    public var run: Int64
    /// How the last run ended, where it did; nil again from the next start.
    public var exitCode: Int32?
    public var signal: Int32?

    public init(
        state: ProgramState, reason: String, pid: Int32? = nil, since: Int64, run: Int64, exitCode: Int32? = nil,
        signal: Int32? = nil
    ) {
        self.state = state
        self.reason = reason
        self.pid = pid
        self.since = since
        self.run = run
        self.exitCode = exitCode
        self.signal = signal
    }
}

/// A line that a program wrote.
public struct OutputLine: Sendable, Hashable {
    public enum Stream: String, Sendable, Hashable {
        case stdout, stderr
    }

    /// Microseconds since 1970: when it was read.
    public let time: Int64
    public let stream: Stream
    /// Without the line's end; valid UTF-8 without NUL, whatever the program wrote.
    public let text: String
    /// How many bytes of its stream there were up to its end; 0 where it is no line of the program's own.
    public let end: Int64

    public init(time: Int64, stream: Stream, text: String, end: Int64 = 0) {
        self.time = time
        self.stream = stream
        self.text = text
        self.end = end
    }
}

/// What is to be told of a watched program.
public enum WatchEvent: Sendable {
    case state(ProgramStatus)
    case output([OutputLine])
}

/// Microseconds since 1970.
package func microsecondsNow() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
}
