import MQTT
import SensorKit
import Synchronization

/// The hub's place where it counts: keeps the books of one sensor's readings as the real one does, tells the driver how
/// far it is and what is missing, and overhears some messages on purpose.
final class CountingHub: Sendable {
    struct Books {
        /// The text of each reading, by boot and number.
        var readings: [Int64: [Int64: String]] = [:]
        /// Readings that came again with another time or other values.
        var contradictions: [String] = []
        var repeats = 0
        var lost: [Int64: Set<Int64>] = [:]
        var missing: [Int64: Set<Int64>] = [:]
        var highest: [Int64: Int64] = [:]
        var ended: [Int64: Int64] = [:]
        var messages = 0

        mutating func take(_ item: JSON) {
            guard let boot = item["boot"]?.int else { return }
            if let seq = item["seq"]?.int {
                let text = "\(item)"
                if let earlier = readings[boot]?[seq] {
                    repeats += 1
                    if earlier != text { contradictions.append("\(earlier) and \(text)") }
                }
                readings[boot, default: [:]][seq] = text
                reach(boot, seq - 1)
                highest[boot] = max(highest[boot] ?? 0, seq)
                missing[boot]?.remove(seq)
            } else if let range = item["lost"]?.array, let first = range[0].int, let last = range[1].int {
                reach(boot, last)
                missing[boot]?.subtract(first...last)
                lost[boot, default: []].formUnion(first...last)
            } else if let end = item["end"]?.int {
                ended[boot] = end
                reach(boot, end)
            }
        }

        /// What lies between the highest number so far and this one is missing.
        private mutating func reach(_ boot: Int64, _ seq: Int64) {
            let known = highest[boot] ?? 0
            guard seq > known else { return }
            missing[boot, default: []].formUnion(known + 1...seq)
            highest[boot] = seq
        }

        /// What the real hub says on the topic `committed`.
        var committed: JSON? {
            guard let boot = highest.keys.max(), let seq = highest[boot] else { return nil }
            var ranges: [(boot: Int64, first: Int64, last: Int64)] = []
            for (boot, seqs) in missing.sorted(by: { $0.key < $1.key }) {
                for seq in seqs.sorted() {
                    if let last = ranges.last, last.boot == boot, last.last + 1 == seq {
                        ranges[ranges.count - 1].last = seq
                    } else {
                        ranges.append((boot, seq, seq))
                    }
                }
            }
            return [
                "boot": .int(boot), "seq": .int(seq),
                "missing": .array(ranges.prefix(20).map { [.int($0.boot), .int($0.first), .int($0.last)] }),
            ]
        }

        var isWhole: Bool { missing.values.allSatisfy(\.isEmpty) }
    }

    private let state: State
    private let client: Client

    private final class State: Sendable {
        let books = Mutex(Books())
        let isDeaf: Mutex<Bool>
        let client = Mutex<Client?>(nil)

        init(isDeaf: Bool) { self.isDeaf = Mutex(isDeaf) }
    }

    /// - Parameters:
    ///   - sensor: the sensor's id.
    ///   - isDeaf: of 500 messages 20 are not heard, as if the broker had lost them.
    init(_ address: BrokerAddress, sensor: String, isDeaf: Bool) {
        let state = State(isDeaf: isDeaf)
        self.state = state
        let root = "sensorhub/main/sensors/\(sensor)"
        client = Client(ClientConfiguration(address: address, clientID: "hub", user: "hub", password: "")) { event in
            guard case .message(let message) = event, let json = try? JSON(parsing: message.payload) else { return }
            let committed = state.books.withLock { books in
                books.messages += 1
                if books.messages % 500 < 20, state.isDeaf.withLock({ $0 }) { return nil as JSON? }
                for item in json.array ?? [json] { books.take(item) }
                return books.committed
            }
            guard let committed else { return }
            _ = try? state.client.withLock { $0 }?.publish(
                OutgoingMessage(topic: "\(root)/committed", payload: committed.bytes(), isRetained: true))
        }
        state.client.withLock { $0 = client }
        client.subscribe("\(root)/data")
        client.start()
    }

    func stop() {
        client.stop()
        state.client.withLock { $0 = nil }
    }

    func hearEverything() { state.isDeaf.withLock { $0 = false } }

    var books: Books { state.books.withLock { $0 } }

    /// - Returns: false if `condition` does not come true within a minute.
    func wait(for condition: (Books) -> Bool) -> Bool {
        let end = Instant.now + .seconds(60)
        while Instant.now < end {
            if condition(books) { return true }
            pause(.milliseconds(20))
        }
        return false
    }
}
