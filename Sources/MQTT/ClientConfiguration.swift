/// Where a broker listens.
public struct BrokerAddress: Sendable, Hashable, CustomStringConvertible {
    public let host: String
    public let port: UInt16

    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Reads `mqtt://host:port`, `host:port` or `host` (port 1883 then); an IPv6 address stands in brackets.
    public init?(_ text: String) {
        let text = text.hasPrefix("mqtt://") ? text.dropFirst("mqtt://".count) : text[...]
        let host: Substring
        let rest: Substring
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            host = text[text.index(after: text.startIndex)..<end]
            rest = text[text.index(after: end)...]
        } else {
            let end = text.lastIndex(of: ":") ?? text.endIndex
            host = text[..<end]
            rest = text[end...]
            guard !host.contains(":") else { return nil }
        }
        guard !host.isEmpty, !host.contains("/") else { return nil }
        guard !rest.isEmpty else {
            self.init(host: String(host), port: 1883)
            return
        }
        guard rest.hasPrefix(":"), let port = UInt16(rest.dropFirst()), port > 0 else { return nil }
        self.init(host: String(host), port: port)
    }

    public var description: String { "mqtt://\(host.contains(":") ? "[\(host)]" : host):\(port)" }
}

/// Who a client is and how it connects.
public struct ClientConfiguration: Sendable {
    public var address: BrokerAddress
    public var clientID: String
    public var user: String
    public var password: String
    /// What the broker publishes when the connection is lost without a farewell.
    public var will: OutgoingMessage?
    public var keepAliveSeconds: Int32
    /// How long the broker keeps subscriptions and queued messages after the connection ended; 0 ends the session with it.
    public var sessionExpirySeconds: UInt32
    /// How many messages the broker may send ahead of their acknowledgement.
    public var receiveMaximum: UInt16

    public init(
        address: BrokerAddress, clientID: String, user: String, password: String, will: OutgoingMessage? = nil,
        keepAliveSeconds: Int32 = 60, sessionExpirySeconds: UInt32 = 0, receiveMaximum: UInt16 = 1_000
    ) {
        self.address = address
        self.clientID = clientID
        self.user = user
        self.password = password
        self.will = will
        self.keepAliveSeconds = keepAliveSeconds
        self.sessionExpirySeconds = sessionExpirySeconds
        self.receiveMaximum = receiveMaximum
    }
}
