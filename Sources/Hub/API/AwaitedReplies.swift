import HubModel
import MQTT
import SimdJSON

/// What a requester waits for: the reply goes out when a node has done it.
enum Awaited {
    case start(AwaitedStart)
    case hearing(AwaitedHearing)
}

/// A signal or input that a node is to have.
struct AwaitedHearing {
    let node: Identifier
    /// What the node knows it by.
    let name: String
    let message: OutgoingMessage
    /// When it is sent again: the node may have been about to connect, and knows what it has had.
    private(set) var next: Instant
    let deadline: Instant

    /// Less than clients wait for a reply.
    static let patience = Duration.seconds(8)
    private static let interval = Duration.seconds(1)

    init(_ message: OutgoingMessage, to node: Identifier, name: String) {
        self.message = message
        self.node = node
        self.name = name
        let now = Instant.now
        next = now + Self.interval
        deadline = now + Self.patience
    }

    mutating func isDue(at now: Instant) -> Bool {
        guard now >= next else { return false }
        next = now + Self.interval
        return true
    }
}

/// A request that is to be answered later.
struct AwaitedReply {
    var awaited: Awaited
    let request: Request
    /// What it says when the node has heard.
    let reply: Reply
}

extension HubCore {
    /// Sends a node what is to reach a program of it.
    ///
    /// - Returns: `reply`, which goes out when the node has it.
    func send(_ payload: JSON, named name: String, to node: Identifier, _ reply: Reply) -> Reply {
        // Later than that, nobody expects it any more.
        let message = OutgoingMessage(
            topic: topics.node(node.text, .command), payload: payload.bytes(),
            expirySeconds: UInt32(AwaitedHearing.patience / .seconds(1)))
        publish(message)
        var reply = reply
        reply.awaited = .hearing(AwaitedHearing(message, to: node, name: name))
        return reply
    }

    /// A node has said that it has a request.
    func takeHeard(_ reader: DocumentReader, from node: Identifier) throws {
        let heard = try RequestHeard(reader)
        let index = awaited.firstIndex {
            if case .hearing(let hearing) = $0.awaited {
                hearing.node == node && hearing.name == heard.name
            } else {
                false
            }
        }
        guard let index else { return }
        let waiting = awaited.remove(at: index)
        if let error = heard.error {
            deliver(Reply(Refusal(.conflict, error)), to: waiting.request)
        } else {
            if let key = try waiting.request.key() { heldReplies.add(key, waiting.reply) }
            deliver(waiting.reply, to: waiting.request)
        }
    }

    /// Answers those for whom it is done, or takes long.
    func answerAwaited() throws {
        guard !awaited.isEmpty else { return }
        let now = Instant.now
        var apps: [DeviceApp]?
        var waiting: [AwaitedReply] = []
        for var item in awaited {
            switch item.awaited {
            case .start(let start):
                if apps == nil { apps = try DeviceApp.all(in: database) }
                guard let reply = try reply(to: start, apps!, now) else { break }
                if let key = try item.request.key() { try replaceStoredReply(to: key, by: reply) }
                deliver(reply, to: item.request)
                continue
            case .hearing(var hearing):
                guard now < hearing.deadline else {
                    deliver(
                        Reply(
                            Refusal(.unavailable, "node '\(hearing.node)' does not answer: it may not have got that")),
                        to: item.request)
                    continue
                }
                if hearing.isDue(at: now) { publish(hearing.message) }
                item.awaited = .hearing(hearing)
            }
            waiting.append(item)
        }
        awaited = waiting
    }
}
