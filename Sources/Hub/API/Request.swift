import HubModel
import MQTT
import SimdJSON

/// A request as it came over the broker, with the way back.
struct Request {
    let service: String
    let method: String
    let parameters: DocumentReader
    private let replyTopic: String?
    private let correlation: [UInt8]?
    /// The request's own `id`, repeated in the reply for clients that have no correlation data.
    private let id: JSON?

    /// - Throws: `ValidationError` for a payload that is no request; nobody can be answered then but by MQTT 5.
    init(_ message: Message, service: String, method: String) throws {
        self.service = service
        self.method = method
        correlation = message.correlation
        let value: JSON
        do {
            value = message.payload.isEmpty ? [:] : try JSON(parsing: message.payload)
        } catch {
            throw ValidationError("the request is \(error)")
        }
        guard var object = value.object else { throw ValidationError("a request is an object, not \(value.kind)") }
        replyTopic = message.responseTopic ?? object["reply_to"]?.string
        id = message.responseTopic == nil ? object["id"] : nil
        if message.responseTopic == nil {
            object["reply_to"] = nil
            object["id"] = nil
        }
        parameters = DocumentReader(.object(object))
    }

    /// The message that carries `reply`, or nil where nobody waits for one.
    func message(with reply: Reply, topics: Topics) -> OutgoingMessage? {
        var reply = reply
        if let id { reply.set("id", id) }
        return Self.reply(reply, to: replyTopic, correlation: correlation, topics: topics)
    }

    /// A reply goes only below `clients/`: the hub may write anywhere, and must not do so for others.
    static func reply(
        _ reply: Reply, to topic: String?, correlation: [UInt8]?, topics: Topics
    ) -> OutgoingMessage? {
        guard let topic, topic.hasPrefix("\(topics.root)/clients/"), topic.utf8.count <= 512,
            !topic.contains("+"), !topic.contains("#")
        else { return nil }
        return OutgoingMessage(
            topic: topic, payload: JSON.object(reply.body).bytes(), correlation: correlation, expirySeconds: 60)
    }
}
