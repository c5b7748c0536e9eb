import CMosquitto
import Glibc
import HubModel
import Synchronization

/// A connection to the broker that keeps itself up: a thread of its own reads and writes, connects again with back-off
/// and jitter when the broker is gone, and subscribes again after each connect. All methods may be called from any
/// thread.
public final class Client: Sendable {
    public enum Event: Sendable {
        case connected
        /// Each failed attempt and each lost connection, with the reason.
        case disconnected(MQTTError)
        case message(Message)
        /// The broker has taken the message that `publish` returned this id for, or refused it.
        case published(id: Int32, error: MQTTError?)
    }

    private struct State {
        var filters: [String] = []
        var isConnected = false
        var isStopping = false
        /// How many published messages libmosquitto has not called done: acknowledged, or written at QoS 0.
        var pending = 0
        var thread: pthread_t?
    }

    private let mosquitto: Mosquitto
    private let state = Mutex(State())
    private let wake = WakeUp()
    private let handler: @Sendable (Event) -> Void

    /// - Parameter handler: called on the client's own thread, one event at a time; it must not block for long.
    public init(_ configuration: ClientConfiguration, handler: @escaping @Sendable (Event) -> Void) {
        mosquitto = Mosquitto(configuration)
        self.handler = handler
        mosquitto.setDelegate(self)
    }

    /// Starts the thread, which connects as soon as the broker can be reached.
    public func start() {
        state.withLock { state in
            precondition(state.thread == nil, "started twice")
            state.thread = startThread { self.run() }
        }
    }

    /// Says farewell to the broker, after what was published, and ends the thread; waits for that for a second at most.
    /// Not to be called from the handler.
    public func stop() {
        let thread = state.withLock { state in
            state.isStopping = true
            defer { state.thread = nil }
            return state.thread
        }
        wake.signal()
        if let thread { pthread_join(thread, nil) }
    }

    public var isConnected: Bool { state.withLock { $0.isConnected } }

    /// Subscribes at QoS 1, now and after each connect.
    public func subscribe(_ filters: String...) {
        let isConnected = state.withLock { state in
            state.filters.append(contentsOf: filters.filter { !state.filters.contains($0) })
            return state.isConnected
        }
        if isConnected { filters.forEach { try? mosquitto.subscribe($0) } }
        wake.signal()
    }

    public func unsubscribe(_ filters: String...) {
        let isConnected = state.withLock { state in
            state.filters.removeAll { filters.contains($0) }
            return state.isConnected
        }
        if isConnected { filters.forEach { try? mosquitto.unsubscribe($0) } }
        wake.signal()
    }

    /// Hands a message to the broker.
    ///
    /// - Returns: the id that event `published` names once the broker has it (QoS 1).
    /// - Throws: `MQTTError` with `.noConnection` when there is none: nothing is queued then.
    @discardableResult
    public func publish(_ message: OutgoingMessage) throws(MQTTError) -> Int32 {
        guard isConnected else { throw MQTTError(.noConnection, "no connection to the broker") }
        // Counted before: the acknowledgement may come before this returns. Not under the lock, which the callback takes
        // while libmosquitto holds locks of its own.
        state.withLock { $0.pending += 1 }
        do throws(MQTTError) {
            let id = try mosquitto.publish(message)
            wake.signal()
            return id
        } catch {
            state.withLock { $0.pending -= 1 }
            throw error
        }
    }

    // MARK: The thread

    /// A connection that has lasted so long ends the back-off.
    private static let goodConnection = Duration.seconds(10)

    private var isStopping: Bool { state.withLock { $0.isStopping } }

    private func run() {
        var backoff = Backoff(first: .milliseconds(100), cap: .seconds(10))
        while !isStopping {
            var connectedAt: Instant?
            let reason = serve { connectedAt = .now }
            guard !isStopping else { break }
            // One that was lost right away is no success: what loses it may do so again.
            if let connectedAt, Instant.now - connectedAt >= Self.goodConnection { backoff.reset() }
            state.withLock { $0.isConnected = false }
            handler(.disconnected(reason))
            wait(backoff.next())
        }
    }

    /// Connects and serves the connection until it ends.
    private func serve(onConnect: () -> Void) -> MQTTError {
        do throws(MQTTError) {
            try mosquitto.connect()
            var wasConnected = false
            while !isStopping {
                try step(timeoutMilliseconds: 1_000)
                if !wasConnected, isConnected {
                    wasConnected = true
                    onConnect()
                }
            }
            try finish()
            return MQTTError(.noConnection, "stopped")
        } catch {
            return refusal.withLock { refusal in
                defer { refusal = nil }
                return refusal ?? error
            }
        }
    }

    /// Why the broker refused the connection; libmosquitto's own return code does not tell.
    private let refusal = Mutex<MQTTError?>(nil)

    private func step(timeoutMilliseconds: Int32) throws(MQTTError) {
        let socket = mosquitto.socket
        guard socket >= 0 else { throw MQTTError(.noConnection, "connection lost") }
        var descriptors = [
            pollfd(fd: socket, events: Int16(POLLIN | (mosquitto.wantsWrite ? POLLOUT : 0)), revents: 0),
            pollfd(fd: wake.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        poll(&descriptors, 2, timeoutMilliseconds)
        if descriptors[1].revents != 0 { wake.reset() }
        if descriptors[0].revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 { try mosquitto.readPackets() }
        if mosquitto.wantsWrite { try mosquitto.writePackets() }
        try mosquitto.keepAlive()
    }

    /// Writes what is queued, waits until the broker has it, and then says farewell. libmosquitto closes the connection
    /// with the farewell; a broker that still had to acknowledge something would find it closed, take it for lost, and
    /// publish the will.
    private func finish() throws(MQTTError) {
        let deadline = Instant.now + .seconds(1)
        while mosquitto.socket >= 0, isConnected, state.withLock({ $0.pending > 0 }), Instant.now < deadline {
            try step(timeoutMilliseconds: 50)
        }
        if isConnected { mosquitto.disconnect() }
        while mosquitto.socket >= 0, mosquitto.wantsWrite, Instant.now < deadline {
            try step(timeoutMilliseconds: 50)
        }
    }

    /// Waits, but not beyond `stop`.
    private func wait(_ duration: Duration) {
        let deadline = Instant.now + duration
        while !isStopping, Instant.now < deadline { wake.wait(deadline - Instant.now) }
    }
}

extension Client: MosquittoDelegate {
    func didConnect(error: MQTTError?, sessionPresent: Bool) {
        if let error {
            refusal.withLock { $0 = error }
            return
        }
        let filters = state.withLock { state in
            state.isConnected = true
            return state.filters
        }
        filters.forEach { try? mosquitto.subscribe($0) }
        handler(.connected)
    }

    func didReceive(_ message: UnsafePointer<mosquitto_message>, _ properties: OpaquePointer?) {
        handler(.message(Message(message, properties)))
    }

    func didPublish(_ id: Int32, error: MQTTError?) {
        state.withLock { $0.pending = max(0, $0.pending - 1) }
        handler(.published(id: id, error: error))
    }
}
