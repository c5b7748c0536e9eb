import CMosquitto
import Glibc

/// Lets one thread wake another that waits in `poll`; a signal that comes while nobody waits is not lost.
public final class WakeUp: Sendable {
    /// Becomes readable by `signal`.
    public let descriptor: Int32

    public init() {
        descriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        precondition(descriptor >= 0, "no event descriptor: \(String(cString: strerror(errno)))")
    }

    deinit {
        close(descriptor)
    }

    /// From any thread.
    public func signal() {
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }

    /// Forgets the signals so far.
    public func reset() {
        var count: UInt64 = 0
        _ = read(descriptor, &count, 8)
    }

    /// Waits for a signal, `duration` at most, and forgets it.
    public func wait(_ duration: Duration) {
        var descriptor = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        poll(&descriptor, 1, Int32(max(0, min(duration / .milliseconds(1), 1e9))))
        reset()
    }
}
