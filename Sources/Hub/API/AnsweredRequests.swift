import HubModel

/// Replies to requests that have a name, for those that come twice: where a connection is lost before the broker has
/// confirmed a message, its client sends that again.
struct AnsweredRequests {
    private var replies: [Identifier: Reply] = [:]
    /// The oldest first.
    private var order: [Identifier] = []

    /// A client sends again soon, or never.
    private static let maximum = 1_000

    /// The reply that the request had; nil where it is new.
    subscript(request: Identifier) -> Reply? { replies[request] }

    mutating func add(_ request: Identifier, _ reply: Reply) {
        if replies.updateValue(reply, forKey: request) == nil { order.append(request) }
        if order.count > Self.maximum { replies[order.removeFirst()] = nil }
    }
}
