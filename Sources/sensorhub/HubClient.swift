import HubModel
import MQTT
import SimdJSON
import Synchronization

/// A person's connection to a running hub: requests with replies, and topics to follow.
final class HubClient: Sendable {
    let topics: Topics
    private let client: Client
    private let exchange = Exchange()
    private let broker: BrokerAddress
    private let replyTopic: String

    /// Connects.
    ///
    /// - Throws: `CommandError` where the broker cannot be reached or does not let us in.
    init(_ file: ConnectionFile) async throws {
        topics = file.topics
        broker = file.broker
        replyTopic = "\(topics.client(file.user))/\(makeUniqueID())"
        let exchange = exchange
        let hubStatus = topics.hubStatus
        client = Client(
            ClientConfiguration(
                address: file.broker, clientID: "\(file.user).\(makeUniqueID().prefix(12))",
                user: file.user.description, password: file.password)
        ) { exchange.handle($0, hubStatus: hubStatus) }
        client.subscribe(replyTopic)
        client.subscribe(topics.hubStatus)
        client.start()
        do {
            let timer = Self.after(.seconds(10)) { exchange.giveUpConnecting() }
            defer { timer.cancel() }
            try await exchange.connected()
        } catch {
            client.stop()
            throw CommandError("the broker at \(broker) cannot be reached: \(error); 'sensorhub doctor' tells more")
        }
    }

    deinit {
        client.stop()
    }

    /// Asks the hub, and again where broker or hub had to be waited for: the hub carries it out once.
    ///
    /// - Returns: the reply, whatever its status.
    /// - Throws: `CommandError` when no reply comes in time.
    func reply(
        to service: String, _ method: String, _ parameters: JSONObject = [:], timeout: Duration = .seconds(10)
    ) async throws -> JSON {
        do {
            return try await answer(to: service, method, parameters, timeout: timeout)
        } catch let error as MQTTError where error.code == .timeout {
            throw CommandError("the hub does not answer; 'sensorhub doctor' tells more")
        } catch let error as MQTTError {
            throw CommandError("the broker at \(broker) did not take the request: \(error)")
        }
    }

    /// As `reply`, for whoever goes on without an answer.
    ///
    /// - Parameter name: what the hub knows the request by: with the same one it can be asked again, and is carried out
    ///   once.
    /// - Throws: `MQTTError`: `.timeout` where the hub may have had the request; else it has not.
    func answer(
        to service: String, _ method: String, _ parameters: JSONObject = [:], named name: String = makeUniqueID(),
        timeout: Duration = .seconds(10)
    ) async throws -> JSON {
        let id = makeUniqueID()
        var parameters = parameters
        parameters["request"] = .string(name)
        let payload = JSON.object(parameters).bytes(), correlation = Array(id.utf8)
        let deadline = ContinuousClock.now + timeout
        let timer = Self.after(timeout) { [exchange] in exchange.forget(correlation) }
        defer { timer.cancel() }
        return try await exchange.reply(with: correlation) { [client, topics, replyTopic] in
            try client.publish(
                OutgoingMessage(
                    topic: topics.request(service, method), payload: payload, responseTopic: replyTopic,
                    correlation: correlation,
                    // Later than that, nobody expects it any more.
                    expirySeconds: UInt32(max(1, (deadline - .now) / .seconds(1)))))
        }
    }

    /// Asks the hub for something that it must be able to do.
    ///
    /// - Throws: `CommandError` with the hub's reason when it refuses.
    func request(
        _ service: String, _ method: String, _ parameters: JSONObject = [:], timeout: Duration = .seconds(10)
    ) async throws -> JSON {
        let reply = try await reply(to: service, method, parameters, timeout: timeout)
        guard let status = reply["status"]?.int, (200..<300).contains(status) else {
            throw CommandError(reply["error"]?.string ?? "the hub sent a reply without a status")
        }
        return reply
    }

    private static func after(_ duration: Duration, _ body: @escaping @Sendable () -> Void) -> Task<Void, Never> {
        Task {
            do { try await Task.sleep(for: duration) } catch { return }
            body()
        }
    }

    /// All messages on `filter` from now on; ends when the task does.
    func follow(_ filters: String...) -> AsyncStream<Message> {
        let (stream, continuation) = AsyncStream.makeStream(of: Message.self, bufferingPolicy: .bufferingNewest(10_000))
        exchange.follow(continuation)
        for filter in filters { client.subscribe(filter) }
        return stream
    }

    /// Calls `body`, which must not block, whenever the connection is there again that was lost.
    func onReconnect(_ body: @escaping @Sendable () -> Void) {
        exchange.onReconnect(body)
    }

    /// Publishes at QoS 1.
    func publish(_ message: OutgoingMessage) throws {
        try client.publish(message)
    }
}

/// What waits for the broker: the connection, replies, followers.
private final class Exchange: Sendable {
    private struct Question {
        let continuation: CheckedContinuation<JSON, any Error>
        let send: @Sendable () throws -> Void
    }

    private struct State {
        var connection: Result<Void, MQTTError>?
        var waitingForConnection: CheckedContinuation<Void, any Error>?
        var waitingForReply: [[UInt8]: Question] = [:]
        var followers: [AsyncStream<Message>.Continuation] = []
        var returns: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())

    func handle(_ event: Client.Event, hubStatus: String) {
        switch event {
        case .connected:
            let isBack = state.withLock { $0.connection != nil }
            finishConnection(.success(()))
            guard isBack else { return }
            askAgain()
            for body in state.withLock({ $0.returns }) { body() }
        case .disconnected(let error): finishConnection(.failure(error))
        case .published: break
        case .message(let message) where message.topic == hubStatus:
            // Said now, and not kept from before: the hub is there again.
            if !message.isRetained, (try? JSON(parsing: message.payload))?["status"] == "online" { askAgain() }
        case .message(let message):
            if let id = message.correlation {
                finish(id, Result { try JSON(parsing: message.payload) })
            } else {
                for follower in state.withLock({ $0.followers }) { follower.yield(message) }
            }
        }
    }

    private func finishConnection(_ result: Result<Void, MQTTError>) {
        let waiting = state.withLock { state in
            state.connection = result
            defer { state.waitingForConnection = nil }
            return state.waitingForConnection
        }
        waiting?.resume(with: result.mapError { $0 as any Error })
    }

    /// Returns at the first answer of the broker.
    func connected() async throws {
        try await withCheckedThrowingContinuation { continuation in
            let known = state.withLock { state in
                if state.connection == nil { state.waitingForConnection = continuation }
                return state.connection
            }
            if let known { continuation.resume(with: known.mapError { $0 as any Error }) }
        }
    }

    /// - Parameter send: called once, and again when the first time may have been for nothing.
    func reply(with id: [UInt8], send: @escaping @Sendable () throws -> Void) async throws -> JSON {
        try await withCheckedThrowingContinuation { continuation in
            state.withLock { $0.waitingForReply[id] = Question(continuation: continuation, send: send) }
            do {
                try send()
            } catch {
                finish(id, .failure(error))
            }
        }
    }

    /// A broker that has died may have had requests and replies with it, and a hub that has died as well.
    private func askAgain() {
        // What cannot be sent now is as before: its reply may come yet.
        for question in state.withLock({ Array($0.waitingForReply.values) }) { try? question.send() }
    }

    private func finish(_ id: [UInt8], _ outcome: Result<JSON, any Error>) {
        state.withLock { $0.waitingForReply.removeValue(forKey: id) }?.continuation.resume(with: outcome)
    }

    /// The reply did not come in time.
    func forget(_ id: [UInt8]) {
        finish(id, .failure(MQTTError(.timeout, "no reply")))
    }

    /// Whatever still waits for the connection does so no longer.
    func giveUpConnecting() {
        finishConnection(.failure(MQTTError(.timeout, "no answer within 10 seconds")))
    }

    func onReconnect(_ body: @escaping @Sendable () -> Void) {
        state.withLock { $0.returns.append(body) }
    }

    func follow(_ continuation: AsyncStream<Message>.Continuation) {
        state.withLock { $0.followers.append(continuation) }
    }
}
