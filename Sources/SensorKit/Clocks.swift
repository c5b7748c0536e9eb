import Glibc

/// The time of day.
public struct WallClock: Sendable {
    /// Microseconds since 1970-01-01 UTC.
    public let now: @Sendable () -> Int64

    public init(_ now: @escaping @Sendable () -> Int64) {
        self.now = now
    }

    /// The time of day at an instant that is not long ago, in microseconds since 1970; for the kernel's time stamps.
    public func time(at instant: Instant) -> Int64 {
        let elapsed = Instant.now - instant
        return now() - elapsed.nanoseconds / 1_000
    }

    public static let system = WallClock {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }
}
