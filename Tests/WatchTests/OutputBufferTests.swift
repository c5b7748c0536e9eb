import Testing

@testable import Watch

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

@Test func linesArePutTogetherFromPieces() {
    var buffer = OutputBuffer()
    #expect(buffer.append(bytes("one\ntw"), .stdout, at: 1).isEmpty)
    #expect(buffer.append(bytes("err\n"), .stderr, at: 2).isEmpty)
    #expect(buffer.append(bytes("o\r\n\nthree"), .stdout, at: 3).isEmpty)
    #expect(
        buffer.flush(at: 4) == [
            OutputLine(time: 1, stream: .stdout, text: "one", end: 4),
            OutputLine(time: 2, stream: .stderr, text: "err", end: 4),
            OutputLine(time: 3, stream: .stdout, text: "two", end: 9),
            OutputLine(time: 3, stream: .stdout, text: "", end: 10),
        ])
    #expect(buffer.isEmpty)
    #expect(buffer.flush(at: 5).isEmpty)
    #expect(buffer.finish(at: 6) == [OutputLine(time: 6, stream: .stdout, text: "three", end: 15)])
    #expect(buffer.lastErrorLine == "err")
}

@Test func whatIsNoTextIsRepaired() {
    var buffer = OutputBuffer()
    _ = buffer.append([0x61, 0xFF, 0x62, 0x00, 0x63, 0x0A], .stdout, at: 1)
    #expect(buffer.flush(at: 1).map(\.text) == ["a\u{FFFD}b\u{FFFD}c"])
}

@Test func longLinesAreCut() {
    var buffer = OutputBuffer()
    for _ in 0..<100 { _ = buffer.append([UInt8](repeating: 0x78, count: 1_000), .stdout, at: 1) }
    _ = buffer.append(bytes("\nnext\n"), .stdout, at: 1)
    let lines = buffer.flush(at: 1).map(\.text)
    #expect(lines.count == 2)
    #expect(lines[0] == String(repeating: "x", count: 8_192) + " … (cut, 100000 bytes)")
    #expect(lines[1] == "next")
}

@Test func batchesAreHandedOverWhenTheyAreFull() {
    var buffer = OutputBuffer()
    let batches = buffer.append(bytes((0..<250).map { "\($0)\n" }.joined()), .stdout, at: 1)
    #expect(batches.map(\.count) == [100, 100])
    #expect(buffer.flush(at: 1).map(\.text) == (200..<250).map { "\($0)" })
}

@Test func tooManyLinesAreCounted() {
    var buffer = OutputBuffer()
    let flood = bytes((0..<21_734).map { "\($0)\n" }.joined())
    let count = buffer.append(flood, .stdout, at: 5_100_000).joined().count + buffer.flush(at: 5_200_000).count
    #expect(count == 20_000)
    // The second is not over.
    #expect(!buffer.isEmpty)
    #expect(buffer.flush(at: 5_900_000).isEmpty)
    #expect(buffer.flush(at: 6_000_000).map(\.text) == ["… 1734 lines dropped"])
    #expect(buffer.isEmpty)
    _ = buffer.append(bytes("quiet\n"), .stdout, at: 6_100_000)
    #expect(buffer.flush(at: 6_200_000).map(\.text) == ["quiet"])

    // After 2 s at 500 a second, less the quiet one.
    let rest = buffer.append(flood, .stdout, at: 7_100_000).joined() + buffer.finish(at: 7_100_001)
    #expect(rest.count == 999 + 1)
    #expect(rest.last?.text == "… 20735 lines dropped")
}

@Test func aProgramThatWaitsLosesNoLine() {
    var buffer = OutputBuffer(overflow: .held)
    #expect(buffer.pause(at: 5_000_000) == .zero)
    let flood = bytes((0..<21_999).map { "\($0)\n" }.joined())
    let count = buffer.append(flood, .stdout, at: 5_000_000).joined().count + buffer.flush(at: 5_000_000).count
    #expect(count == 21_999)
    // 2,000 too many, with the next one.
    #expect(buffer.pause(at: 5_000_000) == .seconds(1))
    #expect(buffer.pause(at: 5_750_000) == .milliseconds(250))
    #expect(buffer.pause(at: 6_000_000) == .zero)
    // What is left at the end is not waited with.
    _ = buffer.append(bytes("a\nb\nc"), .stdout, at: 6_000_000)
    #expect(buffer.finish(at: 6_000_000).map(\.text) == ["a", "b", "c"])
}

@Test func whoDropsDoesNotWait() {
    var buffer = OutputBuffer()
    _ = buffer.append(bytes(String(repeating: "x\n", count: 30_000)), .stdout, at: 5_000_000)
    #expect(buffer.pause(at: 5_000_000) == .zero)
}

@Test func longLinesCountMoreThanOnce() {
    var buffer = OutputBuffer()
    let line = [UInt8](repeating: 0x78, count: 7_300) + [0x0A]
    var count = 0
    for _ in 0..<4_000 { count += buffer.append(line, .stdout, at: 5_000_000).joined().count }
    // 7 KiB are 8 times a line.
    #expect(count + buffer.flush(at: 5_000_000).count == 2_500)
}

@Test func positionsGoOnWhereAnotherHasEnded() {
    var buffer = OutputBuffer(positions: [.stdout: 1_000])
    _ = buffer.append(bytes("a\nb"), .stdout, at: 1)
    _ = buffer.append(bytes("é\n"), .stderr, at: 1)
    #expect(buffer.flush(at: 1).map(\.end) == [1_002, 3])
    _ = buffer.append(bytes("c\n"), .stdout, at: 1)
    #expect(buffer.flush(at: 1).map(\.end) == [1_005])
}
