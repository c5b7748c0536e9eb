import Glibc
import HubModel
import MQTT
import SimdJSON
import Synchronization

/// What a platform knows and who waits for what; shared by the client's thread and the algorithm's tasks.
final class PlatformState: Sendable {
    /// Where a bound sensor stands.
    private struct Place {
        let sensor: BindingDocument.Sensor
        let position: Int
    }

    private struct Listener {
        /// Nil for all.
        let positions: Set<Int>?
        let take: @Sendable (Reading) -> Void
        /// The platform has been closed.
        var finish: @Sendable () -> Void = {}
    }

    private struct State {
        weak var client: Client?
        var binding: BindingDocument?
        /// By data topic.
        var places: [String: Place] = [:]
        var subscribed: Set<String> = []
        var problem: String?
        var isClosed = false
        var nextID = 0
        var bindingStreams: [Int: AsyncStream<BindingDocument>.Continuation] = [:]
        var listeners: [Int: Listener] = [:]
        var calls: [String: CheckedContinuation<Result<ControlReply, PlatformError>, Never>] = [:]
    }

    let bindingTopic: String
    private let state = Mutex(State())

    init(bindingTopic: String) {
        self.bindingTopic = bindingTopic
    }

    func setClient(_ client: Client) { state.withLock { $0.client = client } }

    /// Why there is no connection; nil when there is one.
    var problem: String? { state.withLock { $0.problem } }

    func close() {
        let (bindings, listeners, calls) = state.withLock { state in
            state.isClosed = true
            defer { (state.bindingStreams, state.listeners, state.calls) = ([:], [:], [:]) }
            return (state.bindingStreams.values, state.listeners.values, state.calls.values)
        }
        bindings.forEach { $0.finish() }
        listeners.forEach { $0.finish() }
        calls.forEach { $0.resume(returning: .failure(PlatformError(.closed, "the platform has been closed"))) }
    }

    // MARK: From the broker

    func handle(_ event: Client.Event) {
        switch event {
        case .connected: state.withLock { $0.problem = nil }
        case .disconnected(let error): state.withLock { $0.problem = "no connection to the broker: \(error)" }
        case .published: break
        case .message(let message):
            if message.topic == bindingTopic {
                takeBinding(message)
            } else if message.topic.hasSuffix("/control/reply") {
                guard let reply = try? ControlReply(DocumentReader(JSON(parsing: message.payload))) else { return }
                finishCall(reply.id, .success(reply))
            } else {
                takeReadings(message)
            }
        }
    }

    private func takeBinding(_ message: Message) {
        // An empty one says that the instance was stopped.
        let binding =
            message.payload.isEmpty
            ? nil : try? BindingDocument(json: JSON(parsing: message.payload))
        let (client, streams, gone, new) = state.withLock { state in
            state.binding = binding
            state.places = [:]
            var wanted: Set<String> = []
            for (index, position) in (binding?.positions ?? []).enumerated() {
                for sensor in position.sensors {
                    state.places[sensor.dataTopic] = Place(sensor: sensor, position: index)
                    wanted.formUnion([sensor.dataTopic] + (sensor.replyTopic.map { [$0] } ?? []))
                }
            }
            defer { state.subscribed = wanted }
            return (
                state.client, state.bindingStreams.values, state.subscribed.subtracting(wanted),
                wanted.subtracting(state.subscribed)
            )
        }
        for topic in gone { client?.unsubscribe(topic) }
        for topic in new { client?.subscribe(topic) }
        if let binding { streams.forEach { $0.yield(binding) } }
    }

    private func takeReadings(_ message: Message) {
        let (place, listeners) = state.withLock { ($0.places[message.topic], $0.listeners.values) }
        guard let place else { return }
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let receivedAt = Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1_000
        for reading in Reading.read(
            message.payload, from: place.sensor, position: place.position, receivedAt: receivedAt)
        {
            for listener in listeners where listener.positions?.contains(reading.position) ?? true {
                listener.take(reading)
            }
        }
    }

    // MARK: For the algorithm

    func bindings() -> AsyncStream<BindingDocument> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: BindingDocument.self, bufferingPolicy: .bufferingNewest(16))
        let id = state.withLock { state -> Int? in
            guard !state.isClosed else { return nil }
            state.nextID += 1
            state.bindingStreams[state.nextID] = continuation
            if let binding = state.binding { continuation.yield(binding) }
            return state.nextID
        }
        guard let id else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in
            _ = self?.state.withLock { $0.bindingStreams.removeValue(forKey: id) }
        }
        return stream
    }

    func readings(of positions: Set<Int>?) -> AsyncStream<Reading> {
        let (stream, continuation) = AsyncStream.makeStream(of: Reading.self, bufferingPolicy: .bufferingNewest(1_000))
        let id = add(
            Listener(
                positions: positions, take: { _ = continuation.yield($0) }, finish: { continuation.finish() }))
        continuation.onTermination = { [weak self] _ in
            if let id { self?.removeListener(id) }
        }
        return stream
    }

    /// - Returns: what `removeListener` takes; nil when the platform has been closed.
    func listen(to positions: Set<Int>?, _ take: @escaping @Sendable (Reading) -> Void) -> Int? {
        add(Listener(positions: positions, take: take))
    }

    func removeListener(_ id: Int) {
        // Destroyed outside of the lock: what the listener holds may end with it.
        _ = state.withLock { $0.listeners.removeValue(forKey: id) }
    }

    private func add(_ listener: Listener) -> Int? {
        let id = state.withLock { state -> Int? in
            guard !state.isClosed else { return nil }
            state.nextID += 1
            state.listeners[state.nextID] = listener
            return state.nextID
        }
        if id == nil { listener.finish() }
        return id
    }

    /// Sends a call and waits until `finishCall` names it.
    func reply(to id: String, send: () throws(MQTTError) -> Int32) async throws(PlatformError) -> ControlReply {
        let result = await withCheckedContinuation { continuation in
            let isClosed = state.withLock { state in
                if !state.isClosed { state.calls[id] = continuation }
                return state.isClosed
            }
            if isClosed {
                continuation.resume(returning: .failure(PlatformError(.closed, "the platform has been closed")))
                return
            }
            do throws(MQTTError) {
                _ = try send()
            } catch {
                finishCall(id, .failure(PlatformError(.undelivered, error.reason)))
            }
        }
        return try result.get()
    }

    func finishCall(_ id: String, _ result: Result<ControlReply, PlatformError>) {
        state.withLock { $0.calls.removeValue(forKey: id) }?.resume(returning: result)
    }
}
