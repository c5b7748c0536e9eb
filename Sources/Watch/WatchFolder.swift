import Files
import Glibc
import HubModel
package import SimdJSON

/// A program's folder: where its watch, the agent and the keeper meet.
package struct WatchFolder: Sendable, Hashable {
    package let root: String

    package init(_ root: String) {
        self.root = root
    }

    package var journal: String { "\(root)/journal" }
    /// Held by the watch for as long as it lives.
    package var lock: String { "\(root)/lock" }
    /// A pipe; what is written to it, a line each, is done by the watch, see `WatchCommand`.
    package var control: String { "\(root)/control" }
    var order: String { "\(root)/order.json" }
    var process: String { "\(root)/process.json" }
    var ending: String { "\(root)/ending.json" }
    /// A pipe that is the program's stdin.
    var input: String { "\(root)/stdin" }
    /// One that is its stdout, or stderr.
    func pipe(_ stream: OutputLine.Stream) -> String { "\(root)/\(stream.rawValue)" }

    /// How often the kernel had killed for want of memory in the program's control group when the program was started.
    var memoryKills: Int64 {
        get { (try? File.text(of: "\(root)/memory-kills", limit: 32)).flatMap { Int64($0) } ?? 0 }
        nonmutating set {
            // Most programs have never had one.
            if newValue != memoryKills { try? File.replace("\(root)/memory-kills", with: String(newValue).utf8) }
        }
    }

    /// False where nothing is to be watched any more: the program was removed.
    var hasOrder: Bool { File.exists(order) }

    /// True while a watch is at work here.
    package var isWatched: Bool { FolderLock.isHeld(lock) }

    /// The process of the program, where there is one.
    package var liveProcess: Int32? { liveRecord?.pid }

    /// What is on record of that process.
    package var liveRecord: ProcessRecord? {
        guard let record = ProcessRecord(readingFrom: process), record.isAlive else { return nil }
        return record
    }

    /// What a watch is to run.
    package struct Order: Sendable, Hashable {
        package var specification: ProgramSpecification
        /// Tells orders with the same specification apart, for whoever writes them.
        package var generation: Int64
        /// Grows with each start that is wanted: a watch that takes up the work of another starts only what that has not.
        package var start: Int64
        /// The bound of the journal, in bytes.
        package var journalBytes: Int

        package init(
            _ specification: ProgramSpecification, generation: Int64, start: Int64,
            journalBytes: Int = JournalWriter.defaultBytes
        ) {
            self.specification = specification
            self.generation = generation
            self.start = start
            self.journalBytes = journalBytes
        }
    }

    /// - Throws: `FileError` where the file cannot be read, `ValidationError` or `JSONSyntaxError` for what is no order.
    package func readOrder() throws -> Order {
        let reader = DocumentReader(try JSON(parsing: try File.bytes(of: order)))
        return Order(
            try ProgramSpecification(try reader.required("specification")),
            generation: try reader.required("generation").int(), start: try reader.required("start").int(),
            journalBytes: Int(try reader.required("journal_bytes").int(0...1 << 40)))
    }

    package func write(_ order: Order) throws(FileError) {
        let json: JSON = [
            "specification": order.specification.json, "generation": .int(order.generation), "start": .int(order.start),
            "journal_bytes": .int(Int64(order.journalBytes)),
        ]
        // It has the program's password.
        try File.replace(self.order, with: json.bytes(), mode: 0o600)
    }
}
