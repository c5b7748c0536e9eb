import Glibc
import HubModel
import MQTT
import Synchronization
import TestSupport
import Testing

/// The clients over a Unix socket of a real broker.
@Suite struct SocketTests {
    /// What a client was told, in order: nil for a connection.
    private final class Answers: Sendable {
        private let list = Mutex<[MQTTError?]>([])

        func take(_ event: Client.Event) {
            switch event {
            case .connected: list.withLock { $0.append(nil) }
            case .disconnected(let error): list.withLock { $0.append(error) }
            default: break
            }
        }

        /// Waits for the first answer from the one with number `start` on that is as `predicate` says; nil where none comes.
        func first(from start: Int = 0, where predicate: (MQTTError?) -> Bool) async throws -> (Int, MQTTError?)? {
            let end = Instant.now + .seconds(60)
            while Instant.now < end {
                let all = list.withLock { $0 }
                if let place = all.indices.dropFirst(start).first(where: { predicate(all[$0]) }) {
                    return (place, all[place])
                }
                try await Task.sleep(for: .milliseconds(20))
            }
            return nil
        }
    }

    private func client(_ address: BrokerAddress, _ answers: Answers) -> Client {
        let client = Client(
            ClientConfiguration(address: address, clientID: "test", user: "test", password: "")
        ) { answers.take($0) }
        client.start()
        return client
    }

    @Test(.timeLimit(.minutes(3))) func aConnectionComesBackWithTheBroker() async throws {
        let broker = try TestBroker()
        let answers = Answers()
        let client = client(.unix(broker.socket), answers)
        defer { client.stop() }
        // Where no broker has ever been.
        let missing = try #require(try await answers.first { $0 != nil })
        #expect(missing.1?.code == .noConnection)
        #expect(missing.1?.reason.contains("there is no such socket") == true)
        #expect(missing.1?.reason.contains("listener 0 \(broker.socket.path)") == true)

        try broker.start()
        let first = try #require(try await answers.first { $0 == nil })
        // It leaves its socket behind, where nobody listens any more.
        broker.kill()
        let refused = try #require(
            try await answers.first(from: first.0) { $0?.reason.contains("nobody listens") == true })
        try broker.start()
        #expect(try await answers.first(from: refused.0) { $0 == nil } != nil)
    }

    @Test(.timeLimit(.minutes(1))) func whatIsNoSocketIsTold() async throws {
        let folder = TemporaryFolder()
        try folder.write("file", "")
        for (path, reason) in [("\(folder.path)/file", "nobody listens"), ("\(folder.path)/file/x", "no such socket")] {
            let answers = Answers()
            let client = client(.unix(try UnixSocket(path: path)), answers)
            defer { client.stop() }
            let answer = try #require(try await answers.first { _ in true })
            #expect(answer.1?.reason.contains(reason) == true, "\(path): \(answer.1?.reason ?? "connected")")
        }
    }

    /// A session whose acknowledgements wait: what was not acknowledged comes again with the next connection.
    @Test(.timeLimit(.minutes(2))) func acknowledgementsWaitOverASocket() async throws {
        let broker = try TestBroker(configuration: "allow_anonymous true\nmax_queued_messages 10000")
        try broker.start()
        let subscriber = DeferredAckClient(
            ClientConfiguration(
                address: .unix(broker.socket), clientID: "subscriber", user: "test", password: "",
                sessionExpirySeconds: 3_600), filters: ["data"])
        #expect(try subscriber.connect { _ in })
        let answers = Answers()
        let publisher = client(.unix(broker.socket), answers)
        defer { publisher.stop() }
        _ = try #require(try await answers.first { $0 == nil })

        let end = Instant.now + .seconds(60)
        func read(_ number: Int) throws -> [String] {
            var seen: [String] = []
            while seen.count < number, Instant.now < end {
                _ = try subscriber.read(limit: number - seen.count, waitMilliseconds: 100) {
                    seen.append(String(decoding: $0.payload, as: UTF8.self))
                }
                try subscriber.acknowledge()
            }
            return seen
        }
        let sent = (0..<3_000).map(String.init)
        for text in sent { try publisher.publish(OutgoingMessage(topic: "data", payload: Array(text.utf8))) }
        #expect(try read(sent.count).elementsEqual(sent))

        try publisher.publish(OutgoingMessage(topic: "data", payload: Array("last".utf8)))
        var last: [String] = []
        for _ in 0..<3 {
            // Acknowledgements that the broker had not read when the connection ended are lost with it: others may come
            // again before.
            while last.last != "last", Instant.now < end {
                _ = try subscriber.read(limit: 1, waitMilliseconds: 100) {
                    last.append(String(decoding: $0.payload, as: UTF8.self))
                }
            }
            #expect(last.last == "last")
            last = []
            // It may come with the broker's answer already.
            #expect(try !subscriber.connect { last.append(String(decoding: $0.payload, as: UTF8.self)) })
        }
    }
}
