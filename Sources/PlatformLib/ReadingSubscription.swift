/// Readings that a closure is called with; see `Platform.onReading`.
public final class ReadingSubscription: Sendable {
    private let state: PlatformState
    private let id: Int?

    init(_ state: PlatformState, _ id: Int?) {
        self.state = state
        self.id = id
    }

    deinit { cancel() }

    /// No call of the closure begins after this one has returned, except one that is under way on the broker's thread.
    public func cancel() {
        if let id { state.removeListener(id) }
    }
}
