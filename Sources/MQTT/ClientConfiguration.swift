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
