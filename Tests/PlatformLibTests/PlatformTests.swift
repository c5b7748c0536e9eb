import HubModel
import MQTT
import PlatformLib
import SimdJSON
import Synchronization
import Testing
import TestSupport

/// The hub's and a driver's place in a test: publishes bindings and readings, and answers control calls.
private final class Peer: Sendable {
    let topics = Topics(hub: Identifier("main")!)
    private let client: Client
    private let calls: Calls

    final class Calls: Sendable {
        let list = Mutex<[ControlCall]>([])
        let client = Mutex<Client?>(nil)
    }

    init(_ address: BrokerAddress) {
        let calls = Calls()
        self.calls = calls
        client = Client(ClientConfiguration(address: address, clientID: "peer", user: "peer", password: "")) { event in
            guard case .message(let message) = event,
                let call = try? ControlCall(DocumentReader(JSON(parsing: message.payload)))
            else { return }
            calls.list.withLock { $0.append(call) }
            guard call.parameters["level"] != 3 else { return }
            let reply = ControlReply(
                id: call.id, status: call.parameters["level"] == 2 ? .failed : .done,
                error: call.parameters["level"] == 2 ? "no power" : nil, time: 1)
            _ = try? calls.client.withLock { $0 }?.publish(
                OutgoingMessage(topic: message.topic + "/reply", payload: reply.json.bytes()))
        }
        calls.client.withLock { $0 = client }
        client.subscribe(topics.sensor("+", .control))
        client.start()
    }

    deinit { client.stop() }

    var received: [ControlCall] { calls.list.withLock { $0 } }

    func publish(_ topic: String, _ payload: JSON, isRetained: Bool = false) async throws {
        for _ in 0..<6_000 where !client.isConnected { try await Task.sleep(for: .milliseconds(10)) }
        try client.publish(OutgoingMessage(topic: topic, payload: payload.bytes(), isRetained: isRetained))
    }

    /// Binds these lamps at position 0.
    func bind(_ version: Int64, _ sensors: String...) async throws {
        let type = SensorType(
            name: Identifier("lamp")!, fields: [Field(name: "lux", type: .float)],
            functions: [ControlFunction(name: "dim", parameters: [Field(name: "level", type: .int)])])
        let document = BindingDocument(
            instance: Identifier("a-1")!, app: Identifier("bus")!, algorithm: Identifier("light")!, version: version,
            reason: "test",
            positions: [
                .init(
                    sensorType: type.name,
                    sensors: sensors.map { .init(id: Identifier($0)!, type: type, attributes: [:], topics: topics) })
            ])
        try await publish(topics.algorithm("a-1", .binding), document.json, isRetained: true)
    }

    func read(_ sensor: String, _ sequence: Int64, _ lux: Double) async throws {
        try await publish(
            topics.sensor(sensor, .data), ["t": 5, "boot": 1, "seq": .int(sequence), "v": ["lux": .double(lux)]])
    }
}

@Suite(.timeLimit(.minutes(5))) struct PlatformTests {
    private func withPlatform(_ body: (Platform, Peer) async throws -> Void) async throws {
        let broker = try TestBroker()
        try broker.start()
        let peer = Peer(broker.address)
        let platform = Platform(
            PlatformEnvironment(
                hub: Identifier("main")!, broker: broker.address, user: "algorithm.a-1", password: "",
                instance: Identifier("a-1")!, app: Identifier("bus")!))
        defer { platform.close() }
        try await body(platform, peer)
    }

    @Test func readingsFollowTheBinding() async throws {
        try await withPlatform { platform, peer in
            try await peer.bind(1, "lamp-1")
            var readings = platform.readings(0).makeAsyncIterator()
            #expect(try await platform.binding().version == 1)
            let first = Self.repeating { try await peer.read("lamp-1", 1, 10) }
            let reading = try #require(await readings.next())
            first.cancel()
            #expect(reading.sensor.text == "lamp-1")
            #expect(reading["lux"]?.double == 10)
            #expect(reading.sequence == 1)

            try await peer.bind(2, "lamp-2")
            let second = Self.repeating { try await peer.read("lamp-2", 7, 20) }
            var next = await readings.next()
            while next?.sensor.text == "lamp-1" { next = await readings.next() }
            second.cancel()
            #expect(next?.sensor.text == "lamp-2")
            #expect(try await platform.binding().version == 2)
        }
    }

    @Test func aCallbackHasTheReadingsOfItsPositionsUntilItIsCancelled() async throws {
        try await withPlatform { platform, peer in
            let taken = Mutex<[Int64]>([])
            let others = Mutex(0)
            let subscription = platform.onReading(0) { reading in taken.withLock { $0.append(reading.sequence ?? 0) } }
            let other = platform.onReading(1) { _ in others.withLock { $0 += 1 } }
            try await peer.bind(1, "lamp-1")
            let sending = Self.repeating { try await peer.read("lamp-1", 1, 10) }
            var last = platform.readings(0).makeAsyncIterator()
            _ = try #require(await last.next())
            sending.cancel()
            await sending.value
            // Of two listeners either may be first.
            for _ in 0..<6_000 where taken.withLock({ $0.isEmpty }) { try await Task.sleep(for: .milliseconds(10)) }
            #expect(taken.withLock { Set($0) } == [1])
            subscription.cancel()
            try await peer.read("lamp-1", 2, 10)
            while let reading = await last.next(), reading.sequence != 2 {}
            #expect(taken.withLock { Set($0) } == [1])
            #expect(others.withLock { $0 } == 0)
            other.cancel()
        }
    }

    /// Does something again and again: the other side may not have subscribed yet.
    private static func repeating(_ body: @escaping @Sendable () async throws -> Void) -> Task<Void, Never> {
        Task {
            while !Task.isCancelled {
                try? await body()
                try? await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    @Test func aCallComesBackWithWhatBecameOfIt() async throws {
        try await withPlatform { platform, peer in
            try await peer.bind(1, "lamp-1")
            #expect(try await platform.setSensorData("a-1", 0, 1).status == .done)
            #expect(try await platform.setSensorData("a-1", 0, ["function": "dim", "level": 1]).status == .done)
            #expect(peer.received.map(\.parameters) == [["level": 1], ["level": 1]])
            await Self.expect(.failed) { try await platform.call(0, "dim", ["level": 2]) }
            await Self.expect(.timeout) { try await platform.call(0, "dim", ["level": 3], timeout: .milliseconds(300)) }
            await Self.expect(.invalid) { try await platform.call(0, "dim", ["level": "high"]) }
            await Self.expect(.invalid) { try await platform.call(0, "dmi", ["level": 1]) }
            await Self.expect(.invalid) { try await platform.call(1, "dim", ["level": 1]) }
            await Self.expect(.invalid) { try await platform.call(Identifier("lamp-9")!, "dim", ["level": 1]) }
            #expect(try await platform.getSensorData("a-1", 0) == "sensorhub/main/sensors/lamp-1/data")
            await Self.expect(.invalid) { try await platform.getSensorData("b-1", 0) }
        }
    }

    private static func expect<Value>(_ code: PlatformError.Code, _ body: () async throws -> Value) async {
        do {
            _ = try await body()
            Issue.record("nothing was thrown instead of \(code)")
        } catch {
            #expect((error as? PlatformError)?.code == code, "\(error)")
        }
    }

    @Test func withoutABindingOneIsNotWaitedForForever() async throws {
        try await withPlatform { platform, _ in
            await Self.expect(.noBinding) { try await platform.binding(timeout: .milliseconds(200)) }
        }
    }
}
