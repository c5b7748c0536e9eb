import HubModel
import SimdJSON

/// Samples that the hub has not confirmed yet, oldest first, as the bytes that are sent. It is bounded: while the hub
/// is away for long, the oldest goes, and the next sample says how many went.
struct StatisticsQueue {
    private struct Entry {
        let time: Int64
        let bytes: [UInt8]
        /// Given up before it, by what it says itself.
        let dropped: Int64
        var isSent = false
        /// How often a later one was confirmed while this one was not.
        var overtaken = 0
    }

    private let maximumBytes: Int
    private var entries: [Entry] = []
    private var byteCount = 0
    private var dropped: Int64 = 0

    /// The hub has refused what others overtake this often; or its database was away each time.
    private static let maximumOvertaken = 3

    init(maximumBytes: Int = 4 << 20) {
        self.maximumBytes = maximumBytes
    }

    var count: Int { entries.count }

    mutating func add(_ sample: StatisticsSample) {
        var sample = sample
        sample.dropped = dropped
        let bytes = sample.json.bytes()
        entries.append(Entry(time: sample.time, bytes: bytes, dropped: dropped))
        byteCount += bytes.count
        dropped = 0
        while byteCount > maximumBytes, entries.count > 1 { drop(at: 0) }
    }

    /// What is to be sent next.
    var next: [UInt8]? { entries.first { !$0.isSent }?.bytes }

    /// `next` is with the broker.
    mutating func sent() {
        guard let place = entries.firstIndex(where: { !$0.isSent }) else { return }
        entries[place].isSent = true
    }

    /// The hub has it in its database. What went before and was not confirmed, the hub has not got: it is to be sent
    /// again.
    mutating func committed(_ time: Int64) {
        guard let place = entries.firstIndex(where: { $0.time == time }) else { return }
        byteCount -= entries.remove(at: place).bytes.count
        for earlier in (0..<place).reversed() where entries[earlier].isSent {
            entries[earlier].isSent = false
            entries[earlier].overtaken += 1
            if entries[earlier].overtaken >= Self.maximumOvertaken { drop(at: earlier) }
        }
    }

    /// The hub, or the broker, may have lost what was sent.
    mutating func sendAgain() {
        for place in entries.indices { entries[place].isSent = false }
    }

    private mutating func drop(at place: Int) {
        let entry = entries.remove(at: place)
        byteCount -= entry.bytes.count
        dropped += 1 + entry.dropped
    }
}
