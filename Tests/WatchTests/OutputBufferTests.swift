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
            OutputLine(time: 1, stream: .stdout, text: "one"), OutputLine(time: 2, stream: .stderr, text: "err"),
            OutputLine(time: 3, stream: .stdout, text: "two"), OutputLine(time: 3, stream: .stdout, text: ""),
        ])
    #expect(buffer.isEmpty)
    #expect(buffer.flush(at: 5).isEmpty)
    #expect(buffer.finish(at: 6) == [OutputLine(time: 6, stream: .stdout, text: "three")])
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
    let flood = bytes((0..<1_734).map { "\($0)\n" }.joined())
    let count = buffer.append(flood, .stdout, at: 5_100_000).joined().count + buffer.flush(at: 5_200_000).count
    #expect(count == 500)
    // The second is not over.
    #expect(!buffer.isEmpty)
    #expect(buffer.flush(at: 5_900_000).isEmpty)
    #expect(buffer.flush(at: 6_000_000).map(\.text) == ["… 1234 lines dropped"])
    #expect(buffer.isEmpty)
    _ = buffer.append(bytes("quiet\n"), .stdout, at: 6_100_000)
    #expect(buffer.flush(at: 6_200_000).map(\.text) == ["quiet"])

    let rest = buffer.append(flood, .stdout, at: 7_000_000).joined() + buffer.finish(at: 7_000_001)
    #expect(rest.count == 501)
    #expect(rest.last?.text == "… 1234 lines dropped")
}
