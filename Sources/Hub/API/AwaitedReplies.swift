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
    private let message: OutgoingMessage
    /// When it is sent again: the node may have been about to connect, and knows what it has had.
    private var next: Instant
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

    /// What is to be sent, where that is due.
    mutating func message(at now: Instant) -> OutgoingMessage? {
        guard now >= next else { return nil }
        next = now + Self.interval
        var message = message
        message.expirySeconds = Self.expiry(deadline - now)
        return message
    }

    /// Later than that, nobody expects it any more.
    static func expiry(_ left: Duration) -> UInt32 { UInt32(max(1, left / .seconds(1))) }
}

/// A request that is to be answered later.
struct AwaitedReply {
    var awaited: Awaited
    var request: Request
    /// What it says when the node has heard.
    let reply: Reply
}

extension HubCore {
    /// More are not waited for at a time.
    private static let maximumAwaited = 1_000
    /// Nor for one algorithm instance.
    private static let maximumAwaitedOfInstance = 200

    func hasRoom(for request: Request) -> Bool {
        guard awaited.count < Self.maximumAwaited else { return false }
        guard let instance = request.instance else { return true }
        return awaited.count { $0.request.instance == instance } < Self.maximumAwaitedOfInstance
    }

    /// Sends a node what is to reach a program of it.
    ///
    /// - Returns: `reply`, which goes out when the node has it.
    /// - Throws: `Refusal` where too many wait already: nobody could tell whether it has come.
    func send(
        _ payload: JSON, named name: String, to node: Identifier, for request: Request, _ reply: Reply
    ) throws(Refusal) -> Reply {
        guard hasRoom(for: request) else {
            throw Refusal(
                .unavailable,
                "too much input and too many signals wait for nodes that do not answer; try again in some seconds")
        }
        let message = OutgoingMessage(
            topic: topics.node(node.text, .command), payload: payload.bytes(),
            expirySeconds: AwaitedHearing.expiry(AwaitedHearing.patience))
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
                if let message = hearing.message(at: now) { publish(message) }
                item.awaited = .hearing(hearing)
            }
            waiting.append(item)
        }
        awaited = waiting
    }
}
