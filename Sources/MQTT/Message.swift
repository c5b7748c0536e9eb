/// A message as it came from the broker.
public struct Message: Sendable {
    public let topic: String
    public let payload: [UInt8]
    public let isRetained: Bool
    /// Where the sender waits for a reply (MQTT 5).
    public let responseTopic: String?
    /// What the reply must carry, so that the sender knows it (MQTT 5).
    public let correlation: [UInt8]?
}

/// A message to be published.
public struct OutgoingMessage: Sendable {
    public enum QoS: Int32, Sendable {
        case atMostOnce = 0
        case atLeastOnce = 1
    }

    public var topic: String
    public var payload: [UInt8]
    public var qos: QoS
    public var isRetained: Bool
    public var responseTopic: String?
    public var correlation: [UInt8]?
    /// The broker throws the message away after this many seconds if nobody has taken it.
    public var expirySeconds: UInt32?

    public init(
        topic: String, payload: [UInt8], qos: QoS = .atLeastOnce, isRetained: Bool = false,
        responseTopic: String? = nil, correlation: [UInt8]? = nil, expirySeconds: UInt32? = nil
    ) {
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.isRetained = isRetained
        self.responseTopic = responseTopic
        self.correlation = correlation
        self.expirySeconds = expirySeconds
    }
}
