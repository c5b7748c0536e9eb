/// Keeps entries, in order, until the hub has them: in files, so that they outlive the driver, and in memory where
/// there is no folder for files or none can be written.
///
/// Files are only ever appended to, and removed as a whole. An entry is written without waiting for the disk: when the
/// process is killed the kernel still has it, and only a power cut can take what is younger than about half a minute.
struct Journal {
    struct Limits {
        /// A file is closed when it has grown to this.
        var segmentBytes = 256 << 10
        var segmentBytesInMemory = 32 << 10
        /// Beyond these, the oldest segment is given up.
        var bytes = 64 << 20
        var bytesInMemory = 1 << 20
        /// After a file could not be written.
        var pauseAfterError = Duration.seconds(10)
    }

    /// Where the next batch begins, if it goes on behind the one before.
    private struct Cursor {
        let segment: Int64
        let offset: Int
        let next: Position
    }

    private let limits: Limits
    private let log: Log
    /// The path of a segment without its number; nil for memory only.
    private let prefix: String?
    /// Oldest first; the last one is written to.
    private var segments: [Segment] = []
    private var nextNumber: Int64 = 1
    private var cursor: Cursor?
    /// Of readings that may still be here, newest last.
    private(set) var corrections: [KeptCorrection] = []
    /// When to try files again; nil while they can be written.
    private var retryAt: Instant?

    private static let keptCorrections = 32

    /// Opens the journal, and reads through what an earlier start has left.
    ///
    /// - Parameter folder: nil for a journal in memory.
    init(folder: String?, instance: Identifier, limits: Limits = Limits(), log: Log) {
        self.limits = limits
        self.log = log
        prefix = folder.map { "\($0)/\(instance).journal." }
        guard let folder, let prefix else { return }
        let begin = "\(instance).journal."
        let names = ((try? Folder.names(in: folder)) ?? []).filter { $0.hasPrefix(begin) }
        let numbers = names.compactMap { Int64($0.dropFirst(begin.count)) }
        for number in numbers.sorted() where (1...Position.maximum).contains(number) {
            nextNumber = number + 1
            load("\(prefix)\(number)", number)
        }
    }

    private mutating func load(_ path: String, _ number: Int64) {
        let segment: Segment
        do throws(FileError) {
            segment = try Segment(opening: path, number: number)
        } catch {
            return log.error("readings of an earlier start cannot be read: \(error)")
        }
        guard segment.read(at: 0, count: Segment.header.count) == Segment.header else {
            // An empty one was begun when the power failed.
            if segment.length > 0 { log.error("\(path) is no journal of this version; what it holds is lost") }
            return segment.remove()
        }
        var reader = RecordReader(segment)
        while let entry = reader.next() { note(entry, in: segment) }
        if reader.offset < segment.length {
            log.error("\(path): the last \(segment.length - reader.offset) bytes are torn or damaged, and left out")
            segment.truncate(to: reader.offset)
        }
        segments.last?.close()
        segments.append(segment)
    }

    /// The readings that it has.
    var readings: SpanSet { SpanSet(segments.flatMap(\.readings.spans)) }

    /// True where what is appended outlives the driver.
    var isDurable: Bool { prefix != nil && retryAt == nil }

    // MARK: Writing

    /// Appends a reading, and notes in front of it.
    ///
    /// - Returns: the readings that had to be given up for want of room, perhaps long committed ones among them.
    mutating func append(_ reading: KeptReading, after notes: [Entry], at now: Instant) -> [Span] {
        var bytes: [UInt8] = []
        for note in notes { RecordReader.append(note, to: &bytes) }
        RecordReader.append(.reading(reading), to: &bytes)

        let segment = write(bytes, at: now)
        for note in notes { self.note(note, in: segment) }
        note(.reading(reading), in: segment)
        return trim()
    }

    /// - Returns: the segment that the bytes are in.
    private mutating func write(_ bytes: [UInt8], at now: Instant) -> Segment {
        if let segment = segments.last, hasRoom(segment, bytes.count, at: now), appended(bytes, to: segment, at: now) {
            return segment
        }
        segments.last?.close()
        if let segment = newFile(at: now) {
            if appended(bytes, to: segment, at: now) {
                add(segment)
                if retryAt != nil { log.info("readings are kept in files again") }
                retryAt = nil
                return segment
            }
            segment.remove()
        }
        let segment = Segment(inMemory: nextNumber)
        add(segment)
        _ = appended(bytes, to: segment, at: now)
        return segment
    }

    private func hasRoom(_ segment: Segment, _ count: Int, at now: Instant) -> Bool {
        if segment.isInMemory, isFileDue(now) { return false }
        let limit = segment.isInMemory ? limits.segmentBytesInMemory : limits.segmentBytes
        return segment.length + count <= limit || segment.length == Segment.header.count
    }

    private func isFileDue(_ now: Instant) -> Bool { prefix != nil && retryAt.map { now >= $0 } ?? true }

    private mutating func newFile(at now: Instant) -> Segment? {
        guard let prefix, isFileDue(now) else { return nil }
        do throws(FileError) {
            return try Segment(creating: "\(prefix)\(nextNumber)", number: nextNumber)
        } catch {
            failed(error, at: now)
            return nil
        }
    }

    private mutating func appended(_ bytes: [UInt8], to segment: Segment, at now: Instant) -> Bool {
        do throws(FileError) {
            try segment.append(bytes)
            return true
        } catch {
            failed(error, at: now)
            return false
        }
    }

    private mutating func failed(_ error: FileError, at now: Instant) {
        if retryAt == nil {
            log.error("until files can be written, readings are kept in memory and end with this process: \(error)")
        }
        retryAt = now + limits.pauseAfterError
    }

    private mutating func add(_ segment: Segment) {
        nextNumber += 1
        segments.append(segment)
    }

    private mutating func note(_ entry: Entry, in segment: Segment) {
        switch entry {
        case .reading(let reading):
            // Numbers only rise; a file that says otherwise was tampered with.
            let last = max(segments.last?.readings.last ?? .zero, segment.readings.last ?? .zero)
            guard last < reading.position else { return }
            segment.readings.append(
                Span(boot: reading.position.boot, seqs: reading.position.seq...reading.position.seq))
        case .clock(let correction):
            corrections.append(correction)
            if corrections.count > Self.keptCorrections { corrections.removeFirst() }
        case .end: break
        }
    }

    // MARK: Giving up

    private mutating func trim() -> [Span] {
        var given: [Span] = []
        while segments.count > 1, segments.reduce(0, { $0 + $1.length }) > limits.bytes {
            given += removeSegment(at: 0)
        }
        while segments.reduce(0, { $0 + ($1.isInMemory ? $1.length : 0) }) > limits.bytesInMemory,
            let index = segments.dropLast().firstIndex(where: \.isInMemory)
        {
            given += removeSegment(at: index)
        }
        return given
    }

    private mutating func removeSegment(at index: Int) -> [Span] {
        let segment = segments.remove(at: index)
        segment.remove()
        return segment.readings.spans
    }

    /// Removes what nobody wants any more, as far as whole segments at the front have nothing else.
    mutating func keepOnly(_ wanted: SpanSet) {
        while segments.count > 1, !segments[0].readings.overlaps(wanted) { _ = removeSegment(at: 0) }
    }

    // MARK: Reading

    /// The message that begins with the first of these readings, and has as many more as fit.
    ///
    /// - Returns: nil where that reading cannot be had.
    mutating func batch(_ span: Span) -> Batch? {
        guard let segment = segment(of: span) else { return nil }
        var reader = RecordReader(segment)
        if let cursor, cursor.segment == segment.number, cursor.next == span.first {
            reader = RecordReader(segment, at: cursor.offset)
        }
        var batch = Batch(corrections: corrections)
        var notes: [Entry] = []
        var next = span.first
        while next <= span.last, let entry = reader.next() {
            guard case .reading(let reading) = entry else {
                notes.append(entry)
                continue
            }
            if reading.position >= span.first {
                guard reading.position == next, batch.append(reading, after: notes) else { break }
                next = Position(boot: next.boot, seq: next.seq + 1)
                cursor = Cursor(segment: segment.number, offset: reader.offset, next: next)
            }
            notes = []
        }
        return batch.span == nil ? nil : batch
    }

    /// What of these readings cannot be read, where the first of them cannot: all that is in the same segment.
    func unreadable(_ span: Span) -> Span {
        segment(of: span)?.readings.parts(of: span).first
            ?? Span(boot: span.boot, seqs: span.first.seq...span.first.seq)
    }

    private func segment(of span: Span) -> Segment? {
        segments.first { $0.readings.contains(span.first) }
    }
}
