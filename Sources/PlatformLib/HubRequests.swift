import HubModel
import MQTT
import SimdJSON
import Synchronization

/// What an algorithm asks of the hub, and the replies.
final class HubRequests: Sendable {
    private typealias Outcome = Result<JSON, PlatformError>

    private struct State {
        weak var client: Client?
        var isClosed = false
        /// By the topic of the reply, each request's own.
        var waiting: [String: CheckedContinuation<Outcome, Never>] = [:]
        /// Reply topics by the number that the broker names the request by.
        var numbers: [Int32: String] = [:]
        /// What the broker has refused before the number was known here.
        var refused: [Int32: PlatformError] = [:]
    }

    private let environment: PlatformEnvironment
    private let topics: Topics
    private let state = Mutex(State())
    private static let maximumRefused = 100

    init(_ environment: PlatformEnvironment) {
        self.environment = environment
        topics = Topics(hub: environment.hub)
    }

    private var replies: String { "\(topics.root)/clients/\(environment.user)/" }

    func setClient(_ client: Client) { state.withLock { $0.client = client } }

    func close() {
        let waiting = state.withLock { state in
            state.isClosed = true
            defer { state.waiting = [:] }
            return state.waiting.values
        }
        for continuation in waiting { continuation.resume(returning: .failure(Self.closed)) }
    }

    private static var closed: PlatformError { PlatformError(.closed, "the platform has been closed") }

    /// Asks, and waits for the reply.
    ///
    /// - Returns: the reply, whatever its status.
    func reply(
        to service: String, _ method: String, _ parameters: JSONObject, timeout: Duration
    ) async throws(PlatformError) -> JSON {
        let name = makeUniqueID(), topic = replies + name
        var parameters = parameters
        // It may reach the hub twice, where the connection is lost before the broker has confirmed it.
        parameters["request"] = .string(name)
        let message = OutgoingMessage(
            topic: topics.request(of: environment.instance.text, service, method),
            payload: JSON.object(parameters).bytes(), responseTopic: topic,
            expirySeconds: UInt32(max(1, timeout / .seconds(1))))
        let timer = Task {
            try await Task.sleep(for: timeout)
            finish(topic, .failure(PlatformError(.timeout, "the hub did not answer within \(timeout)")))
        }
        defer { timer.cancel() }
        let outcome = await withCheckedContinuation { continuation in
            let (isClosed, client) = state.withLock { state in
                if !state.isClosed { state.waiting[topic] = continuation }
                return (state.isClosed, state.client)
            }
            guard !isClosed, let client else { return continuation.resume(returning: .failure(Self.closed)) }
            client.subscribe(replies + "+")
            do throws(MQTTError) {
                sent(try client.publish(message), topic)
            } catch {
                finish(topic, .failure(PlatformError(.undelivered, error.reason)))
            }
        }
        return try outcome.get()
    }

    /// Asks for something that the hub must be able to do.
    func request(
        _ service: String, _ method: String, _ parameters: JSONObject, timeout: Duration
    ) async throws(PlatformError) -> JSON {
        let reply = try await reply(to: service, method, parameters, timeout: timeout)
        guard let status = reply["status"]?.int, (200..<300).contains(status) else {
            throw PlatformError(.refused, reply["error"]?.string ?? "the hub gave no reason")
        }
        return reply
    }

    private func sent(_ number: Int32, _ topic: String) {
        let refusal = state.withLock { state -> PlatformError? in
            if state.waiting[topic] != nil { state.numbers[number] = topic }
            return state.refused.removeValue(forKey: number)
        }
        if let refusal { finish(topic, .failure(refusal)) }
    }

    private func finish(_ topic: String, _ outcome: Outcome) {
        let continuation = state.withLock { state in
            if let number = state.numbers.first(where: { $0.value == topic })?.key { state.numbers[number] = nil }
            return state.waiting.removeValue(forKey: topic)
        }
        continuation?.resume(returning: outcome)
    }

    // MARK: From the broker

    func handle(_ event: Client.Event) {
        switch event {
        case .message(let message) where message.topic.hasPrefix(replies):
            let reply = try? JSON(parsing: message.payload)
            finish(
                message.topic,
                reply.map { .success($0) } ?? .failure(PlatformError(.refused, "the hub's reply is no JSON")))
        case .published(let number, let error?):
            let refusal = PlatformError(
                .undelivered,
                "the broker refused it: \(error); the deployment of this algorithm needs \"commands\": true")
            let topic = state.withLock { state -> String? in
                if let topic = state.numbers[number] { return topic }
                if state.refused.count < Self.maximumRefused { state.refused[number] = refusal }
                return nil
            }
            if let topic { finish(topic, .failure(refusal)) }
        case .published(let number, nil):
            // Taken; its reply is to come.
            state.withLock { _ = $0.numbers.removeValue(forKey: number) }
        default: break
        }
    }
}
