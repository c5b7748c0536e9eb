import HubModel
import MQTT
import SimdJSON

/// A request as it came over the broker, with the way back.
struct Request {
    let topic: String
    let service: String
    let method: String
    let parameters: DocumentReader
    /// The algorithm instance that asks; nil for a person.
    let instance: Identifier?
    /// What its sender calls it, so that it is carried out once.
    private let name: DocumentReader?
    private let replyTopic: String?
    private let correlation: [UInt8]?
    /// The request's own `id`, repeated in the reply for clients that have no correlation data.
    private let id: JSON?
    /// An archive that came as it is.
    let archive: [UInt8]?
    /// True where the reply has a header of its own, as commlib's.
    private let isEnveloped: Bool

    /// - Throws: `ValidationError` for a payload that is no request; nobody can be answered then but by MQTT 5.
    init(_ message: Message, service: String, method: String, of instance: Identifier?) throws {
        topic = message.topic
        self.service = service
        self.method = method
        self.instance = instance
        correlation = message.correlation
        archive = nil
        isEnveloped = false
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
        name = try Self.takeName(from: &object)
        parameters = DocumentReader(.object(object))
    }

    /// Reads a request on a topic of a device: an archive as it is, an object, or an object `data` beside a `header`.
    init(_ message: Message, service: DeviceService, device: String, app: String?) throws {
        topic = message.topic
        self.service = "devices"
        method = service.rawValue
        instance = nil
        correlation = message.correlation
        var object: JSONObject
        var header: JSONObject?
        if service.takesArchive, Self.isArchive(message.payload) {
            archive = message.payload
            object = [:]
        } else {
            archive = nil
            let value: JSON
            do {
                value = message.payload.isEmpty ? [:] : try JSON(parsing: message.payload)
            } catch {
                throw ValidationError("the request is neither an archive nor JSON: \(error)")
            }
            guard let whole = value.object else { throw ValidationError("a request is an object, not \(value.kind)") }
            header = whole["header"]?.object
            object = header == nil ? whole : whole["data"]?.object ?? [:]
            // Of a message of the old programs.
            if header == nil { object["header"] = nil }
        }
        isEnveloped = header != nil
        if message.responseTopic == nil, header == nil {
            replyTopic = object["reply_to"]?.string
            id = object["id"]
            object["reply_to"] = nil
            object["id"] = nil
        } else {
            // A dot in a name is a slash in a topic there.
            replyTopic = message.responseTopic ?? header?["reply_to"]?.string?.replacing(".", with: "/")
            id = nil
        }
        name = try Self.takeName(from: &object)
        object["node"] = .string(device)
        if let app { object["app_id"] = .string(app) }
        parameters = DocumentReader(.object(object))
    }

    private static func takeName(from object: inout JSONObject) throws(ValidationError) -> DocumentReader? {
        defer { object["request"] = nil }
        return try DocumentReader(.object(object)).optional("request")
    }

    /// What it is known by; nil where its sender gave it no name.
    ///
    /// - Throws: `ValidationError` for a name that is no identifier.
    func key() throws(ValidationError) -> RequestKey? {
        guard let name else { return nil }
        return RequestKey(asker: instance, name: "\(service)/\(method)/\(try name.identifier())")
    }

    /// What nodes know it by.
    func nameForNode() throws(ValidationError) -> String { try key()?.text ?? makeUniqueID() }

    /// What a zip or gzip file begins with.
    private static func isArchive(_ bytes: [UInt8]) -> Bool {
        bytes.starts(with: [0x50, 0x4B, 0x03, 0x04]) || bytes.starts(with: [0x1F, 0x8B])
    }

    /// The message that carries `reply`, or nil where nobody waits for one.
    func message(with reply: Reply, topics: Topics) -> OutgoingMessage? {
        var reply = reply
        if let id { reply.set("id", id) }
        guard isEnveloped else {
            return Self.reply(reply, to: replyTopic, correlation: correlation, topics: topics)
        }
        return Self.reply(
            JSON.object([
                "header": [
                    "reply_to": "", "timestamp": .int(microsecondsSince1970() * 1_000), "content_type": "json",
                    "encoding": "utf8", "agent": "sensorhub",
                ], "data": .object(reply.body),
            ]), to: replyTopic, correlation: correlation, topics: topics)
    }

    /// A reply goes only below `clients/`: the hub may write anywhere, and must not do so for others.
    static func reply(
        _ reply: Reply, to topic: String?, correlation: [UInt8]?, topics: Topics
    ) -> OutgoingMessage? {
        Self.reply(.object(reply.body), to: topic, correlation: correlation, topics: topics)
    }

    private static func reply(
        _ body: JSON, to topic: String?, correlation: [UInt8]?, topics: Topics
    ) -> OutgoingMessage? {
        guard let topic, topic.utf8.count <= 512, !topic.contains("+"), !topic.contains("#"),
            topic.hasPrefix("\(topics.root)/clients/") || isCommlibReplyTopic(topic)
        else { return nil }
        return OutgoingMessage(
            topic: topic, payload: body.bytes(), correlation: correlation, expirySeconds: 60)
    }

    /// commlib's clients wait on a topic of one level, `rpc-` and a random id.
    private static func isCommlibReplyTopic(_ topic: String) -> Bool {
        topic.hasPrefix("rpc-") && Identifier(topic) != nil
    }
}
