/// Waiting times for attempts that fail: each about twice the one before, up to a cap, with jitter, so that many clients
/// of one broker do not come back at the same instant.
public struct Backoff: Sendable {
    private let first: Duration
    private let cap: Duration
    private var current: Duration

    public init(first: Duration, cap: Duration) {
        self.first = first
        self.cap = cap
        current = first
    }

    /// The next waiting time: from half of the present step to the whole of it.
    public mutating func next() -> Duration {
        let step = current
        current = min(cap, current * 2)
        return step * Double.random(in: 0.5...1)
    }

    /// After a success.
    public mutating func reset() {
        current = first
    }
}
