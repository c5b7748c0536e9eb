import Glibc
import MQTT
import SensorKit
import Synchronization
import TestSupport

/// The hub's place in a test: sees everything, and says what is committed.
final class TestHub: Sendable {
    private let messages: Messages
    private let client: Client

    private final class Messages: Sendable {
        let list = Mutex<[Message]>([])
    }

    init(_ address: BrokerAddress) {
        let messages = Messages()
        self.messages = messages
        client = Client(ClientConfiguration(address: address, clientID: "hub", user: "hub", password: "")) { event in
            if case .message(let message) = event { messages.list.withLock { $0.append(message) } }
        }
        client.subscribe("sensorhub/main/#")
        client.start()
    }

    deinit { client.stop() }

    func payloads(_ leaf: String) -> [JSON] {
        messages.list.withLock { $0 }.filter { $0.topic == "sensorhub/main/sensors/counter-1/\(leaf)" }
            .compactMap { try? JSON(parsing: $0.payload) }
    }

    /// All readings in the order of their arrival.
    var readings: [JSON] {
        payloads("data").flatMap { $0.array ?? [$0] }
    }

    var lastStatus: String? { payloads("status").last?["status"]?.string }

    func publish(_ leaf: String, _ json: JSON, isRetained: Bool = false) throws {
        try client.publish(
            OutgoingMessage(
                topic: "sensorhub/main/sensors/counter-1/\(leaf)", payload: json.bytes(), isRetained: isRetained))
    }

    /// - Returns: false if `condition` does not come true within a minute.
    func wait(for condition: () -> Bool) -> Bool {
        let end = Instant.now + .seconds(60)
        while Instant.now < end {
            if condition() { return true }
            pause(.milliseconds(10))
        }
        return false
    }

    /// Waits for the connection, and publishes the hub's birth.
    func isConnected() throws -> Bool {
        guard wait(for: { client.isConnected }) else { return false }
        try say("online")
        return true
    }

    /// What the hub, or the broker for it, says of the hub.
    func say(_ status: JSON) throws {
        try client.publish(
            OutgoingMessage(
                topic: "sensorhub/main/status", payload: JSON.object(["status": status]).bytes(), isRetained: true))
    }
}

/// A `DriverRunner` on a thread of its own, with a `ScriptedDriver`.
final class RunningDriver {
    let script = ScriptedDriver.Script()
    let lines = Lines()
    private let end = WakeUp()
    private var thread = pthread_t()
    private var isRunning = true

    init(_ address: BrokerAddress, stateDirectory: String? = nil) throws {
        let configuration = try DriverConfiguration(
            DocumentReader([
                "driver": "scripted", "type": ScriptedDriver.type.json,
                "instance": ["name": "counter-1", "type": "counter", "attributes": [:]],
            ]))
        let environment = DriverEnvironment(
            hub: Identifier("main")!, broker: address, user: "counter-1", password: "", stateDirectory: stateDirectory)
        let (script, log, descriptor) = (script, lines.log, end.descriptor)
        let body = Body {
            DriverRunner(ScriptedDriver(script), configuration, environment, log: log).run(until: descriptor)
        }
        let code = pthread_create(
            &thread, nil,
            { context in
                Unmanaged<Body>.fromOpaque(context!).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(body).toOpaque())
        precondition(code == 0)
    }

    private final class Body {
        let run: () -> Void
        init(_ run: @escaping () -> Void) { self.run = run }
    }

    /// - Returns: how long it took.
    @discardableResult
    func stop() -> Duration {
        guard isRunning else { return .zero }
        isRunning = false
        let begin = Instant.now
        end.signal()
        pthread_join(thread, nil)
        return .now - begin
    }

    deinit { stop() }
}
