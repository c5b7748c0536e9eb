import CMosquitto
import Glibc

/// What a client hears from libmosquitto. Called from inside `mosquitto_loop_read` and `mosquitto_loop_misc`.
protocol MosquittoDelegate: AnyObject {
    /// - Parameter error: nil when the broker accepted the connection.
    func didConnect(error: MQTTError?, sessionPresent: Bool)
    func didReceive(_ message: UnsafePointer<mosquitto_message>, _ properties: OpaquePointer?)
    /// The broker has taken a message published at QoS 1; `error` is nil unless it refused it.
    func didPublish(_ id: Int32, error: MQTTError?)
}

/// The one owner of a `struct mosquitto`: creation, options, callbacks, and the calls that both clients share.
///
/// libmosquitto locks its own state, and `mosquitto_threaded_set` keeps it from writing to the socket anywhere but in
/// `writePackets`; reading, writing and connecting are for one thread.
final class Mosquitto: @unchecked Sendable {
    private let handle: OpaquePointer
    private let configuration: ClientConfiguration
    /// What libmosquitto's callbacks are given.
    private var context: DelegateContext?

    private static let isInitialised: Bool = mosquitto_lib_init() == MOSQ_ERR_SUCCESS.rawValueInt32

    init(_ configuration: ClientConfiguration) {
        precondition(Self.isInitialised, "libmosquitto cannot be initialised")
        self.configuration = configuration
        let cleanStart = configuration.sessionExpirySeconds == 0
        guard let handle = mosquitto_new(configuration.clientID, cleanStart, nil) else { fatalError("out of memory") }
        self.handle = handle
        mosquitto_threaded_set(handle, true)
        mosquitto_int_option(handle, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5)
        if configuration.address.socket == nil { mosquitto_int_option(handle, MOSQ_OPT_TCP_NODELAY, 1) }
        mosquitto_int_option(handle, MOSQ_OPT_RECEIVE_MAXIMUM, Int32(configuration.receiveMaximum))
        mosquitto_username_pw_set(handle, configuration.user, configuration.password)
        if let will = configuration.will {
            mosquitto_will_set(
                handle, will.topic, Int32(will.payload.count), will.payload, will.qos.rawValue, will.isRetained)
        }
    }

    deinit {
        mosquitto_destroy(handle)
    }

    /// To be called once, before `connect`. The delegate is not retained.
    func setDelegate(_ delegate: some MosquittoDelegate) {
        let context = DelegateContext(delegate)
        self.context = context
        mosquitto_user_data_set(handle, Unmanaged.passUnretained(context).toOpaque())
        mosquitto_connect_v5_callback_set(handle) { _, context, reason, flags, _ in
            let error = reason == 0 ? nil : MQTTError(reasonCode: reason)
            DelegateContext.delegate(context)?.didConnect(error: error, sessionPresent: flags & 1 != 0)
        }
        mosquitto_message_v5_callback_set(handle) { _, context, message, properties in
            if let message { DelegateContext.delegate(context)?.didReceive(message, properties) }
        }
        mosquitto_publish_v5_callback_set(handle) { _, context, id, reason, _ in
            DelegateContext.delegate(context)?.didPublish(
                id, error: reason < 0x80 ? nil : MQTTError(reasonCode: reason))
        }
    }

    /// Holds the delegate weakly behind libmosquitto's untyped pointer.
    private final class DelegateContext {
        weak var delegate: (any MosquittoDelegate)?

        init(_ delegate: any MosquittoDelegate) { self.delegate = delegate }

        static func delegate(_ context: UnsafeMutableRawPointer?) -> (any MosquittoDelegate)? {
            context.flatMap { Unmanaged<DelegateContext>.fromOpaque($0).takeUnretainedValue().delegate }
        }
    }

    // MARK: Connection

    /// Opens the socket and queues the CONNECT; whether the broker accepts it comes by `didConnect`.
    func connect() throws(MQTTError) {
        var properties: OpaquePointer?
        defer { mosquitto_property_free_all(&properties) }
        if configuration.sessionExpirySeconds > 0 {
            mosquitto_property_add_int32(
                &properties, Int32(MQTT_PROP_SESSION_EXPIRY_INTERVAL.rawValue), configuration.sessionExpirySeconds)
        }
        // With port 0, libmosquitto takes the host for the path of a Unix socket.
        let (host, port) =
            switch configuration.address {
            case .tcp(let address): (address.host, Int32(address.port))
            case .unix(let socket): (socket.path, Int32(0))
            }
        // Not mosquitto_reconnect: it would leave the properties out.
        let code = mosquitto_connect_bind_v5(
            handle, host, port, configuration.keepAliveSeconds, nil, properties)
        if let socket = configuration.address.socket, code == MOSQ_ERR_ERRNO.rawValueInt32 {
            throw MQTTError(.noConnection, socket.reason(errno))
        }
        try check(code)
    }

    /// Queues the farewell; a will is not published then.
    func disconnect() {
        mosquitto_disconnect_v5(handle, 0, nil)
    }

    /// -1 without a connection.
    var socket: Int32 { mosquitto_socket(handle) }
    var wantsWrite: Bool { mosquitto_want_write(handle) }

    /// While true the kernel sends full segments only (TCP_CORK); what is left goes out when it becomes false. A Unix
    /// socket has no segments.
    var holdsBackSegments = false {
        didSet {
            guard configuration.address.socket == nil else { return }
            var value: Int32 = holdsBackSegments ? 1 : 0
            setsockopt(socket, Int32(IPPROTO_TCP), TCP_CORK, &value, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    /// Reads about one packet; callbacks come from inside.
    func readPackets() throws(MQTTError) { try check(mosquitto_loop_read(handle, 1)) }
    /// Writes what is queued, as far as the socket takes it.
    func writePackets() throws(MQTTError) { try check(mosquitto_loop_write(handle, 1)) }
    /// Keep-alive; to be called about each second.
    func keepAlive() throws(MQTTError) { try check(mosquitto_loop_misc(handle)) }

    // MARK: Messages; from any thread

    func subscribe(_ filter: String) throws(MQTTError) {
        try check(mosquitto_subscribe(handle, nil, filter, 1))
    }

    func unsubscribe(_ filter: String) throws(MQTTError) {
        try check(mosquitto_unsubscribe(handle, nil, filter))
    }

    /// - Returns: the id that `didPublish` will name.
    func publish(_ message: OutgoingMessage) throws(MQTTError) -> Int32 {
        var properties: OpaquePointer?
        defer { mosquitto_property_free_all(&properties) }
        if let topic = message.responseTopic {
            try check(mosquitto_property_add_string(&properties, Int32(MQTT_PROP_RESPONSE_TOPIC.rawValue), topic))
        }
        if let data = message.correlation {
            try check(
                mosquitto_property_add_binary(
                    &properties, Int32(MQTT_PROP_CORRELATION_DATA.rawValue), data, UInt16(data.count)))
        }
        if let seconds = message.expirySeconds {
            try check(
                mosquitto_property_add_int32(
                    &properties, Int32(MQTT_PROP_MESSAGE_EXPIRY_INTERVAL.rawValue), seconds))
        }
        var id: Int32 = 0
        try check(
            mosquitto_publish_v5(
                handle, &id, message.topic, Int32(message.payload.count), message.payload, message.qos.rawValue,
                message.isRetained, properties))
        return id
    }

    private func check(_ code: Int32) throws(MQTTError) {
        if code != MOSQ_ERR_SUCCESS.rawValueInt32 { throw MQTTError(returnCode: code) }
    }
}

extension Message {
    init(_ message: UnsafePointer<mosquitto_message>, _ properties: OpaquePointer?) {
        topic = String(cString: message.pointee.topic)
        payload = Array(
            UnsafeRawBufferPointer(
                start: message.pointee.payload, count: Int(message.pointee.payloadlen)))
        isRetained = message.pointee.retain

        var text: UnsafeMutablePointer<CChar>?
        mosquitto_property_read_string(properties, Int32(MQTT_PROP_RESPONSE_TOPIC.rawValue), &text, false)
        responseTopic = text.map { String(cString: $0) }
        free(text)

        var data: UnsafeMutableRawPointer?
        var count: UInt16 = 0
        mosquitto_property_read_binary(properties, Int32(MQTT_PROP_CORRELATION_DATA.rawValue), &data, &count, false)
        correlation = data.map { Array(UnsafeRawBufferPointer(start: $0, count: Int(count))) }
        free(data)
    }
}
