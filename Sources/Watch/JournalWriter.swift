import CWatch
import Files
import Glibc
import HubModel
package import SimdJSON

/// Writes a program's journal: everything that is to be told of it, numbered, in files of a folder that together have a
/// bound. Where there is no more room the oldest lines go, and not the states between them. Whoever writes must be the
/// only one.
package struct JournalWriter {
    private let folder: String
    private let segmentBytes: Int
    private var descriptor: Int32 = -1
    private var firsts: [Int64]
    /// Of the segment that is being written.
    private var size = 0
    private var header: JournalSegment.Header
    /// The number of the last entry; 0 before the first.
    package private(set) var last: Int64 = 0

    /// Segments of a journal: with one more or less, it has its bound.
    private static let segments = 8
    package static let defaultBytes = 8 << 20

    /// Opens the journal, or begins one. What a power cut has left of a line at its end is taken away.
    ///
    /// - Parameters:
    ///   - bytes: the bound.
    ///   - origin: names the journal where it is begun, see `JournalPosition`.
    package init(_ folder: String, bytes: Int = defaultBytes, origin: @autoclosure () -> Int64) throws(FileError) {
        self.folder = folder
        segmentBytes = max(4_096, bytes / Self.segments)
        try Folder.make(folder)
        firsts = JournalSegment.firsts(in: folder)
        // Of a writer that was killed in the middle of that.
        for name in try Folder.names(in: folder) where name.hasSuffix(".new") { unlink("\(folder)/\(name)") }
        header = JournalSegment.Header(origin: 0)
        while let first = firsts.last {
            if try resume(first) { return }
            // Without its first line it was never used.
            unlink(path(first))
            firsts.removeLast()
        }
        header.origin = origin()
        try beginSegment()
    }

    package var origin: Int64 { header.origin }
    /// The last state that was written.
    package var memory: ProgramStateMachine.Memory? { header.memory }
    /// How many bytes of each stream were written as lines.
    package var positions: [OutputLine.Stream: Int64] { header.positions }

    package func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
    }

    /// Writes entries, all or none of them.
    ///
    /// - Returns: the number of the last one.
    /// - Throws: `FileError` where the disk does not take it; the journal then is as before.
    @discardableResult
    package mutating func append(_ contents: [JournalContent]) throws(FileError) -> Int64 {
        guard !contents.isEmpty else { return last }
        if size >= segmentBytes { try beginSegment() }
        var bytes: [UInt8] = []
        var number = last
        var after = header
        for content in contents {
            number += 1
            JournalEntry(number: number, content: content).json.write(to: &bytes)
            bytes.append(UInt8(ascii: "\n"))
            after.take(content)
        }
        try write(bytes)
        last = number
        header = after
        return number
    }

    // MARK: Files

    private func path(_ first: Int64) -> String { "\(folder)/\(JournalSegment.name(first: first))" }

    private mutating func resume(_ first: Int64) throws(FileError) -> Bool {
        let descriptor = open(path(first), O_RDWR | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw FileError(path(first)) }
        // Segments are ended at their size; more than a batch beyond it is not ours.
        guard let end = JournalSegment.end(of: descriptor, first: first, limit: segmentBytes + (16 << 20)) else {
            Glibc.close(descriptor)
            return false
        }
        ftruncate(descriptor, off_t(end.size))
        header = end.header
        last = end.last
        size = end.size
        self.descriptor = descriptor
        return true
    }

    private mutating func beginSegment() throws(FileError) {
        let first = last + 1, path = path(first)
        let descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw FileError(path) }
        var bytes = header.json.bytes()
        bytes.append(UInt8(ascii: "\n"))
        let count = pwrite(descriptor, bytes, bytes.count, 0)
        guard count == bytes.count else {
            let error = FileError(path, count < 0 ? errno : ENOSPC)
            Glibc.close(descriptor)
            unlink(path)
            throw error
        }
        if self.descriptor >= 0 { Glibc.close(self.descriptor) }
        self.descriptor = descriptor
        size = bytes.count
        firsts.append(first)
        while firsts.count > Self.segments { giveUpLines() }
    }

    /// Makes the two oldest segments one, which has the states of both.
    private mutating func giveUpLines() {
        do throws(FileError) {
            guard let oldest = JournalSegment.withoutLines(path(firsts[0])),
                let next = JournalSegment.withoutLines(path(firsts[1]))
            else { throw FileError(path(firsts[0]), EINVAL) }
            // Of a program that only ever dies there is a bound as well.
            let states = (oldest.states + next.states).suffix(segmentBytes / JournalSegment.usualStateBytes)
            try File.replace(path(firsts[0]), with: Array(([oldest.header] + states).joined()))
            unlink(path(firsts.remove(at: 1)))
        } catch {
            unlink(path(firsts.removeFirst()))
        }
    }

    private mutating func write(_ bytes: [UInt8]) throws(FileError) {
        // A reader must not see half of a batch that then is taken back.
        if sh_reserve(descriptor, Int64(size), Int64(bytes.count)) != 0, errno == ENOSPC {
            throw FileError(path(firsts[firsts.count - 1]))
        }
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                pwrite(descriptor, $0.baseAddress! + done, bytes.count - done, off_t(size + done))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let error = FileError(path(firsts[firsts.count - 1]), count < 0 ? errno : ENOSPC)
                ftruncate(descriptor, off_t(size))
                throw error
            }
            done += count
        }
        size += done
    }
}
