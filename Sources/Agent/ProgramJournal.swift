import Files
import Glibc
import HubModel
import SimdJSON
import Watch

/// A program's journal, read as it grows: for whoever listens now, and for the hub, which has to have all of it once. To
/// the hub one batch is on the way at a time; the next one goes when the hub has answered.
struct ProgramJournal: ~Copyable {
    /// What is sent to the hub.
    struct Batch {
        /// Names the journal.
        let origin: Int64
        /// The number of the entry before.
        let after: Int64
        let entries: [JournalEntry]
    }

    let folder: WatchFolder
    private let committedFile: String
    private(set) var origin: Int64 = 0

    /// For whoever listens.
    private var news: JournalReader
    /// The number of the last entry that was read there.
    private var seen: Int64 = 0
    /// The latest state, and the entry that says so.
    private(set) var latest: (status: ProgramStatus, position: JournalPosition)?

    /// For the hub.
    private var backlog: JournalReader
    /// The number of the last entry that the hub has.
    private var committed: Int64 = 0
    private var sentAt: ContinuousClock.Instant?
    /// There may be more than the hub has.
    private var isUnread = true

    private static let maximumEntries = 1_000
    /// A message stays well below what the hub takes.
    private static let maximumBytes = 256 << 10

    init(_ folder: WatchFolder) {
        self.folder = folder
        committedFile = "\(folder.root)/committed.json"
        news = JournalReader(folder.journal)
        backlog = JournalReader(folder.journal)
        guard let end = backlog.end() else { return }
        origin = end.origin
        if let memory = end.memory { latest = (memory.status, JournalPosition(origin: origin, number: end.number)) }
        if let bytes = try? File.bytes(of: committedFile, limit: 4_096), let json = try? JSON(parsing: bytes),
            json["origin"]?.int == origin
        {
            committed = json["n"]?.int ?? 0
        }
        seen = committed
    }

    /// The hub has all that there is.
    var isCommitted: Bool { sentAt == nil && !isUnread }

    // MARK: For whoever listens

    /// What has come since the last call, some of it where there is much.
    mutating func takeNews() -> [JournalEntry] {
        isUnread = true
        guard let batch = news.entries(after: seen, limit: Self.maximumEntries), !batch.entries.isEmpty else {
            return []
        }
        use(batch.origin)
        seen = batch.entries.last!.number
        for entry in batch.entries {
            if case .state(let memory) = entry.content {
                latest = (memory.status, JournalPosition(origin: origin, number: entry.number))
            }
        }
        return batch.entries
    }

    // MARK: For the hub

    /// What is to be sent next; nil where there is nothing, or the hub has not answered yet.
    ///
    /// Whoever listens hears of it first: once the hub knows that a program has ended for good, it takes the right to tell
    /// of it from this node.
    mutating func next(at now: ContinuousClock.Instant) -> Batch? {
        guard sentAt == nil, isUnread else { return nil }
        guard let batch = backlog.entries(after: committed, limit: Self.maximumEntries), !batch.entries.isEmpty else {
            isUnread = false
            return nil
        }
        use(batch.origin)
        var bytes = 0
        let first = batch.entries[0].number
        let entries = batch.entries.prefix { entry in
            bytes += entry.size
            return entry.number <= seen && (bytes <= Self.maximumBytes || entry.number == first)
        }
        guard !entries.isEmpty else { return nil }
        sentAt = now
        return Batch(origin: origin, after: committed, entries: Array(entries))
    }

    /// What was sent may not have come to the hub.
    mutating func sendAgain() {
        sentAt = nil
        isUnread = true
    }

    /// The hub has all entries up to that one, and waits for the next.
    mutating func hubHas(_ position: JournalPosition) {
        guard position.origin == origin else { return }
        sendAgain()
        guard position.number != committed else { return }
        committed = position.number
        let json: JSON = ["origin": .int(origin), "n": .int(committed)]
        // Where it cannot be kept, the hub is told again, and knows better.
        try? File.replace(committedFile, with: json.bytes())
    }

    /// The hub has not answered for so long that what was sent must be lost.
    func isOverdue(at now: ContinuousClock.Instant, after wait: Duration) -> Bool {
        sentAt.map { now - $0 > wait } ?? false
    }

    /// Another journal than before is all new.
    private mutating func use(_ origin: Int64) {
        guard origin != self.origin else { return }
        self.origin = origin
        committed = 0
        seen = 0
        latest = nil
    }
}

extension JournalEntry {
    /// About how many bytes it takes in a message.
    fileprivate var size: Int {
        switch content {
        case .line(let line, _): line.text.utf8.count + 120
        case .state(let memory): memory.status.reason.utf8.count + 200
        }
    }
}
