import Glibc
import TestSupport
import Testing

@testable import SensorKit

private let id = Identifier("lamp-1")!

private func reading(_ boot: Int64, _ seq: Int64, uncertain: Bool = false, bytes: Int = 7) -> KeptReading {
    KeptReading(
        position: at(boot, seq), time: 5, isUncertain: uncertain,
        values: Array(#"{"x":1}"#.utf8)
            + [UInt8](repeating: 0x20, count: bytes - 7))
}

extension Journal {
    @discardableResult
    fileprivate mutating func append(
        _ boot: Int64, _ seqs: ClosedRange<Int64>, bytes: Int = 7, at now: Instant = Instant(nanoseconds: 0)
    ) -> [Span] {
        seqs.flatMap { append(reading(boot, $0, bytes: bytes), after: [], at: now) }
    }

    /// The payloads of all messages from `span`.
    fileprivate mutating func texts(_ span: Span) -> [String] {
        var texts: [String] = []
        var rest: Span? = span
        while let span = rest, let batch = batch(span), let done = batch.span {
            texts.append(String(decoding: batch.payload, as: UTF8.self))
            rest = span.from(at(done.boot, done.last.seq + 1))
        }
        return texts
    }
}

extension TemporaryFolder {
    fileprivate func write(_ name: String, _ bytes: [UInt8]) {
        let descriptor = open("\(path)/\(name)", O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        defer { close(descriptor) }
        #expect(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
    }
}

@Suite struct JournalTests {
    private let folder = TemporaryFolder()
    private let lines = Lines()

    private func journal(_ limits: Journal.Limits = .init(), inMemory: Bool = false) -> Journal {
        Journal(folder: inMemory ? nil : folder.path, instance: id, limits: limits, log: lines.log)
    }

    private var files: [String] { (try? Folder.names(in: folder.path)) ?? [] }

    @Test(arguments: [true, false])
    func givesBackWhatWasAppended(inMemory: Bool) throws {
        var journal = journal(inMemory: inMemory)
        journal.append(3, 1...1)
        #expect(journal.texts(span(3, 1...1)) == [#"{"t":5,"boot":3,"seq":1,"v":{"x":1}}"#])
        journal.append(3, 2...450)
        let texts = journal.texts(span(3, 1...450))
        #expect(try texts.map { try JSON(parsing: Array($0.utf8)).array?.count } == [200, 200, 50])
        #expect(try JSON(parsing: Array(texts[2].utf8)).array?[49]["seq"] == 450)
        // From the middle, and no further than asked.
        #expect(journal.batch(span(3, 7...9))?.span == span(3, 7...9))
        #expect(journal.batch(span(3, 451...451)) == nil)
        #expect(journal.isDurable == !inMemory)
    }

    @Test func whatWasAppendedOutlivesTheDriver() {
        var first = journal(.init(segmentBytes: 400))
        first.append(3, 1...20)
        first.append(4, 1...5)
        var second = journal(.init(segmentBytes: 400))
        #expect(second.readings.spans == [span(3, 1...20), span(4, 1...5)])
        second.append(5, 1...1)
        #expect(journal().readings.count == 26)
        #expect(second.batch(span(4, 5...5))?.span == span(4, 5...5))
        #expect(lines.all == [])
    }

    @Test func notesTravelWithTheReadingBehindThem() {
        var journal = journal()
        journal.append(3, 1...2)
        _ = journal.append(reading(4, 1), after: [.end(at(3, 2))], at: Instant(nanoseconds: 0))
        let expected = #"[{"boot":3,"end":2},{"t":5,"boot":4,"seq":1,"v":{"x":1}}]"#
        #expect(journal.texts(span(4, 1...1)) == [expected])
        #expect(journal.texts(span(3, 1...2)).count == 1)
        #expect(journal.texts(span(4, 1...1)) == [expected])
    }

    @Test func aClockCorrectionChangesOnlyWhatHasNotBeenSent() {
        let now = Instant(nanoseconds: 0)
        var first = journal()
        for seq in 1...3 { _ = first.append(reading(4, Int64(seq), uncertain: true), after: [], at: now) }
        let correction = KeptCorrection(span: span(4, 1...3), sentThrough: 2, offset: 100)
        _ = first.append(reading(4, 4), after: [.clock(correction)], at: now)
        let expected = [
            #"[{"t":5,"boot":4,"seq":1,"u":true,"v":{"x":1}},{"t":5,"boot":4,"seq":2,"u":true,"v":{"x":1}},"#
                + #"{"t":105,"boot":4,"seq":3,"v":{"x":1}},"#
                + #"{"boot":4,"clock":[1,2],"offset":100},{"t":5,"boot":4,"seq":4,"v":{"x":1}}]"#
        ]
        #expect(first.texts(span(4, 1...4)) == expected)
        var second = journal()
        #expect(second.texts(span(4, 1...4)) == expected)
    }

    @Test func aTornTailIsCutOffAndWrittenOver() throws {
        let path = "\(folder.path)/lamp-1.journal.1"
        for cut in [1, 5, 20, 45] {
            unlink(path)
            var first = journal()
            first.append(3, 1...3)
            let length = try File.bytes(of: path).count
            #expect(truncate(path, length - cut) == 0)
            var second = journal()
            #expect(second.readings.spans == [span(3, 1...(cut < 41 ? 2 : 1))])
            second.append(4, 1...2)
            #expect(journal().readings.count == (cut < 41 ? 4 : 3))
        }
        #expect(lines.all.first?.contains("torn or damaged") == true)
    }

    @Test func aFlippedBitNeverGivesAnotherReading() throws {
        let path = "\(folder.path)/lamp-1.journal.1"
        do {
            var first = journal()
            first.append(3, 1...4)
        }
        let bytes = try File.bytes(of: path)
        for bit in 0..<bytes.count * 8 {
            var damaged = bytes
            damaged[bit / 8] ^= 1 << (bit % 8)
            unlink(path)
            folder.write("lamp-1.journal.1", damaged)
            var second = journal()
            for span in second.readings.spans {
                for text in second.texts(span) {
                    let json = try JSON(parsing: Array(text.utf8))
                    #expect((json.array ?? [json]).allSatisfy { $0["v"] == ["x": 1] && $0["boot"] == 3 })
                }
            }
            #expect(second.readings.count < 4)
        }
    }

    @Test func aFileOfAnotherVersionIsLeftOutWithAWord() {
        folder.write("lamp-1.journal.1", Array("SHJOURN".utf8) + [9] + [UInt8](repeating: 1, count: 50))
        folder.write("lamp-1.journal.7", [])
        folder.write("lamp-1.journal.x", Array("nothing to do with it".utf8))
        var journal = journal()
        #expect(journal.readings.isEmpty)
        #expect(lines.all.count == 1 && lines.all[0].contains("no journal of this version"))
        journal.append(1, 1...1)
        #expect(files == ["lamp-1.journal.8", "lamp-1.journal.x"])
    }

    @Test func givesUpTheOldestBeyondItsBound() {
        var journal = journal(.init(segmentBytes: 1_000, bytes: 5_000))
        let given = journal.append(3, 1...500)
        #expect(files.count <= 6)
        let kept = journal.readings
        #expect(kept.last == at(3, 500) && kept.spans.count == 1)
        #expect(SpanSet(given).spans == [span(3, 1...(kept.spans[0].first.seq - 1))])
    }

    @Test func memoryHasABoundOfItsOwn() {
        var journal = journal(.init(segmentBytesInMemory: 1_000, bytesInMemory: 5_000), inMemory: true)
        let given = journal.append(3, 1...500)
        #expect(!given.isEmpty)
        #expect(journal.readings.count * 48 < 6_000)
        #expect(journal.readings.last == at(3, 500))
    }

    @Test func removesFilesThatNobodyWantsAnyMore() {
        var journal = journal(.init(segmentBytes: 1_000))
        journal.append(3, 1...100)
        #expect(files.count > 4)
        journal.keepOnly(SpanSet([span(3, 50...50), span(3, 99...100)]))
        #expect(journal.batch(span(3, 50...50))?.span == span(3, 50...50))
        journal.keepOnly(SpanSet())
        #expect(files.count == 1)
        // What comes next does not get a number that was used.
        #expect(journal.readings.last == at(3, 100))
    }

    @Test func saysWhatCannotBeReadAnyMore() throws {
        var journal = journal(.init(segmentBytes: 1_000))
        journal.append(3, 1...100)
        let first = try #require(files.first { $0.hasSuffix(".1") })
        unlink("\(folder.path)/\(first)")
        #expect(journal.batch(span(3, 1...100)) == nil)
        let gone = journal.unreadable(span(3, 1...100))
        #expect(gone.first == at(3, 1) && gone.count < 30)
        #expect(journal.batch(span(3, gone.last.seq + 1...100)) != nil)
    }

    @Test func goesOnInMemoryWhileTheDiskIsFull() {
        guard mount("tmpfs", folder.path, "tmpfs", 0, "size=64k") == 0 else {
            print("a full disk was not tried: a small file system cannot be mounted here")
            return
        }
        defer { umount2(folder.path, Int32(MNT_DETACH)) }
        let filler = "\(folder.path)/filler"
        let descriptor = open(filler, O_WRONLY | O_CREAT, 0o600)
        let zeros = [UInt8](repeating: 0, count: 32 << 10)
        #expect(write(descriptor, zeros, zeros.count) == zeros.count)
        close(descriptor)

        var journal = journal(.init(segmentBytesInMemory: 8 << 10, bytesInMemory: 32 << 10))
        #expect(journal.append(3, 1...1_000).isEmpty)
        #expect(!journal.isDurable)
        #expect(lines.all.count == 1 && lines.all[0].contains("No space left on device"))
        #expect(journal.readings.count == 1_000)
        #expect(journal.texts(span(3, 1...1_000)).isEmpty == false)
        let given = journal.append(3, 1_001...2_000)
        #expect(!given.isEmpty)

        unlink(filler)
        #expect(journal.append(3, 2_001...2_001, at: Instant(nanoseconds: 11_000_000_000)).isEmpty)
        #expect(journal.isDurable)
        #expect(lines.all.last == "readings are kept in files again")
        let onDisk = self.journal().readings
        #expect(onDisk.last == at(3, 2_001) && onDisk.spans.first?.first == at(3, 1))
        #expect(SpanSet(journal.readings.spans + given).spans == [span(3, 1...2_001)])
    }
}

@Suite struct CRC32Tests {
    /// The check value that every catalogue of checksums has.
    @Test func isTheOneOfZip() {
        #expect(crc32(Array("123456789".utf8)) == 0xCBF4_3926)
    }
}
