import CMosquitto
import Glibc
import HubModel

/// A subscriber that lets the broker have its acknowledgements only when it says so: read a batch, store it, then
/// `acknowledge`.
///
/// libmosquitto queues the PUBACK of a message before it hands the message over, and has no manual acknowledgement; but
/// with `mosquitto_threaded_set` only `mosquitto_loop_write` puts bytes on the wire. So this client polls for input
/// only, and writes nothing but in `acknowledge`. That writes all that is queued, so nothing else may use the client: it
/// cannot publish. It is for one thread.
///
/// The session outlives the connection: the broker queues while nobody reads, and sends again what was not acknowledged.
public final class DeferredAckClient {
    /// A message in libmosquitto's own memory, valid only inside the handler.
    public struct BorrowedMessage {
        public let topic: UnsafeBufferPointer<UInt8>
        public let payload: UnsafeRawBufferPointer

        init(_ source: UnsafePointer<mosquitto_message>) {
            let text = UnsafeRawPointer(source.pointee.topic!).assumingMemoryBound(to: UInt8.self)
            topic = UnsafeBufferPointer(start: text, count: strlen(source.pointee.topic))
            payload = UnsafeRawBufferPointer(start: source.pointee.payload, count: Int(source.pointee.payloadlen))
        }
    }

    private let mosquitto: Mosquitto
    private let filters: [String]
    private var isConnected = false
    private var isNewSession = false
    private var refusal: MQTTError?
    private var lastKeepAlive = Instant.now
    private var handler: ((BorrowedMessage) -> Void)?
    private var received = 0

    /// - Parameter filters: subscribed at QoS 1 when the broker has no session of this client.
    public init(_ configuration: ClientConfiguration, filters: [String]) {
        precondition(configuration.sessionExpirySeconds > 0, "without a session the broker sends nothing again")
        mosquitto = Mosquitto(configuration)
        self.filters = filters
        mosquitto.setDelegate(self)
    }

    /// Connects and waits for the broker's answer, 10 seconds at most. What was read and not acknowledged before comes
    /// again, and is handed over as soon as it comes, before anything is acknowledged.
    ///
    /// - Returns: true where the broker had no session of this client: what was published before is not coming.
    public func connect(_ handler: (BorrowedMessage) -> Void) throws(MQTTError) -> Bool {
        isConnected = false
        refusal = nil
        try mosquitto.connect()
        let deadline = Instant.now + .seconds(10)
        while !isConnected {
            // The CONNECT has to go out; there is no acknowledgement in the queue yet.
            if mosquitto.wantsWrite { try mosquitto.writePackets() }
            do throws(MQTTError) {
                _ = try read(limit: 1, waitMilliseconds: 100, handler)
            } catch {
                throw refusal ?? error
            }
            if let refusal { throw refusal }
            guard Instant.now < deadline else { throw MQTTError(.timeout, "the broker does not answer") }
        }
        return isNewSession
    }

    /// Reads until nothing is left or `limit` messages have come.
    ///
    /// - Parameter waitMilliseconds: how long to wait for the first byte.
    /// - Returns: how many messages were handed over.
    public func read(
        limit: Int, waitMilliseconds: Int32, _ handler: (BorrowedMessage) -> Void
    ) throws(MQTTError) -> Int {
        received = 0
        var wait = waitMilliseconds
        // The handler is borrowed for the time of this call; libmosquitto calls back from inside of it.
        let failure: MQTTError? = withoutActuallyEscaping(handler) { handler in
            self.handler = handler
            defer { self.handler = nil }
            do throws(MQTTError) {
                while received < limit {
                    let before = received
                    try mosquitto.readPackets()
                    // A packet that was a message is mostly followed by another one: ask only when none came.
                    guard received == before else { continue }
                    guard mosquitto.socket >= 0 else { throw MQTTError(.noConnection, "connection lost") }
                    var descriptor = pollfd(fd: mosquitto.socket, events: Int16(POLLIN), revents: 0)
                    guard poll(&descriptor, 1, wait) > 0 else { break }
                    wait = 0
                }
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
        return received
    }

    /// Lets the broker have the acknowledgement of everything that was read, and the keep-alive when it is due.
    public func acknowledge() throws(MQTTError) {
        if Instant.now - lastKeepAlive > .seconds(1) {
            lastKeepAlive = .now
            try mosquitto.keepAlive()
        }
        guard mosquitto.wantsWrite else { return }
        // libmosquitto writes each acknowledgement by itself; the kernel is to send them together.
        mosquitto.holdsBackSegments = true
        defer { mosquitto.holdsBackSegments = false }
        while mosquitto.wantsWrite {
            guard mosquitto.socket >= 0 else { throw MQTTError(.noConnection, "connection lost") }
            var descriptor = pollfd(fd: mosquitto.socket, events: Int16(POLLOUT), revents: 0)
            guard poll(&descriptor, 1, 10_000) > 0 else { throw MQTTError(.timeout, "the broker takes nothing") }
            try mosquitto.writePackets()
        }
    }
}

extension DeferredAckClient: MosquittoDelegate {
    func didConnect(error: MQTTError?, sessionPresent: Bool) {
        refusal = error
        isConnected = error == nil
        isNewSession = !sessionPresent
        guard isConnected, !sessionPresent else { return }
        // A new session: nothing can be unacknowledged, so writing is safe.
        for filter in filters {
            do throws(MQTTError) {
                try mosquitto.subscribe(filter)
                try mosquitto.writePackets()
            } catch {
                refusal = error
            }
        }
    }

    func didReceive(_ message: UnsafePointer<mosquitto_message>, _ properties: OpaquePointer?) {
        received += 1
        handler?(BorrowedMessage(message))
    }

    func didPublish(_ id: Int32, error: MQTTError?) {}
}
