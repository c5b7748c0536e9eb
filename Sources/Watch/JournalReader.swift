import Files
import Glibc
import HubModel
package import SimdJSON

/// Reads a program's journal, also while it is being written.
package struct JournalReader: ~Copyable {
    /// Entries of a journal, in order.
    package struct Batch: Sendable {
        /// Names the journal.
        package let origin: Int64
        /// Their numbers have gaps where the journal had to give some up.
        package var entries: [JournalEntry] = []
    }

    private let folder: String
    private var descriptor: Int32 = -1
    /// Of the segment that is open.
    private var first: Int64 = 0
    private var origin: Int64 = 0
    private var offset: Int64 = 0
    /// The number of the entry before `offset`.
    private var last: Int64 = 0

    package init(_ folder: String) {
        self.folder = folder
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// The entries after `number`, as far as there are some.
    ///
    /// - Parameter limit: how many at most.
    /// - Returns: nil where there is no journal.
    package mutating func entries(after number: Int64, limit: Int) -> Batch? {
        let isThere = descriptor >= 0 && last == number
        guard isThere || open(containing: number + 1) else { return nil }
        var batch = Batch(origin: origin)
        while batch.entries.count < limit {
            let (lines, end) = JournalSegment.lines(of: descriptor, from: offset, limit: JournalSegment.chunk)
            if lines.isEmpty {
                // A segment that has a successor is finished.
                guard let next = JournalSegment.firsts(in: folder).first(where: { $0 > first }) else { break }
                // But its last entries may have come since we looked.
                if JournalSegment.lines(of: descriptor, from: offset, limit: JournalSegment.chunk).lines.isEmpty {
                    let known = last
                    // Where lines were given up, what came next may be with the states of others by now.
                    guard isIntact ? open(first: next) : open(containing: known + 1) else { break }
                    last = max(last, known)
                }
                continue
            }
            var used = offset
            for line in lines {
                guard batch.entries.count < limit else { break }
                used += Int64(line.count) + 1
                guard let json = try? JSON(parsing: line), let entry = try? JournalEntry(json) else { continue }
                if entry.number > max(number, last) { batch.entries.append(entry) }
                last = max(last, entry.number)
            }
            offset = batch.entries.count < limit ? end : used
        }
        return batch
    }

    /// How a journal ends.
    package struct End: Sendable {
        package let origin: Int64
        /// The number of the last entry.
        package let number: Int64
        package let memory: ProgramStateMachine.Memory?
    }

    /// - Returns: nil where there is no journal.
    package func end() -> End? {
        for first in JournalSegment.firsts(in: folder).reversed() {
            let descriptor = Glibc.open(
                "\(folder)/\(JournalSegment.name(first: first))", O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            guard let end = JournalSegment.end(of: descriptor, first: first, limit: 64 << 20) else { continue }
            return End(origin: end.header.origin, number: end.last, memory: end.header.memory)
        }
        return nil
    }

    /// False where the segment that is open is gone, or is another file now.
    private var isIntact: Bool {
        var ours = stat(), there = stat()
        return fstat(descriptor, &ours) == 0 && stat("\(folder)/\(JournalSegment.name(first: first))", &there) == 0
            && ours.st_ino == there.st_ino
    }

    private mutating func open(containing number: Int64) -> Bool {
        let firsts = JournalSegment.firsts(in: folder)
        guard let first = firsts.last(where: { $0 <= number }) ?? firsts.first else { return false }
        return open(first: first)
    }

    private mutating func open(first: Int64) -> Bool {
        let descriptor = Glibc.open("\(folder)/\(JournalSegment.name(first: first))", O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return false }
        // With the state of a program it is longer than an entry, but not by much.
        let (lines, _) = JournalSegment.lines(of: descriptor, from: 0, limit: 64 << 10)
        guard let line = lines.first, let json = try? JSON(parsing: line), let header = try? JournalSegment.Header(json)
        else {
            close(descriptor)
            return false
        }
        if self.descriptor >= 0 { close(self.descriptor) }
        self.descriptor = descriptor
        self.first = first
        origin = header.origin
        offset = Int64(line.count) + 1
        last = first - 1
        return true
    }
}
