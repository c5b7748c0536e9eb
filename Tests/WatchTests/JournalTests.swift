import Files
import Glibc
import HubModel
import TestSupport
import Testing

@testable import Watch

private func lines(_ numbers: ClosedRange<Int>, stream: OutputLine.Stream = .stdout) -> [JournalContent] {
    numbers.map { .line(OutputLine(time: 5, stream: stream, text: "line \($0)", end: Int64($0) * 10), run: 3) }
}

private func texts(_ entries: [JournalEntry]) -> [String] {
    entries.map { if case .line(let line, _) = $0.content { line.text } else { "" } }
}

private let state = ProgramStateMachine.Memory(
    status: ProgramStatus(
        state: .backoff, reason: "\"why\"", pid: nil, since: 7, run: 3, exitCode: 1), isWaiting: true, failedStarts: 2,
    start: 9)

@Test func whatIsWrittenIsRead() throws {
    let folder = TemporaryFolder()
    var writer = try JournalWriter("\(folder.path)/j", origin: 77)
    try writer.append(lines(1...2))
    try writer.append([.state(state)])
    var reader = JournalReader("\(folder.path)/j")
    let batch = try reader.read(after: 0, limit: 100)
    #expect(batch.origin == 77)
    #expect(batch.entries.map(\.number) == [1, 2, 3])
    #expect(batch.entries.map(\.content) == lines(1...2) + [.state(state)])
    // Nothing more, then something, and from the middle.
    let none = try reader.read(after: 3, limit: 100)
    #expect(none.entries.isEmpty)
    try writer.append(lines(4...6))
    var part = try reader.read(after: 3, limit: 2)
    #expect(texts(part.entries) == ["line 4", "line 5"])
    part = try reader.read(after: 5, limit: 2)
    #expect(texts(part.entries) == ["line 6"])
    part = try reader.read(after: 1, limit: 1)
    #expect(texts(part.entries) == ["line 2"])
    let found = reader.end()
    let end = try #require(found)
    #expect(end.number == 6 && end.memory == state && end.origin == 77)
}

@Test func aJournalGoesOnWhereItEnded() throws {
    let folder = TemporaryFolder()
    var writer = try JournalWriter(folder.path, origin: 77)
    try writer.append([.state(state)] + lines(2...3) + lines(4...4, stream: .stderr))
    writer.close()
    writer = try JournalWriter(folder.path, origin: 88)
    #expect(writer.origin == 77 && writer.last == 4 && writer.memory == state)
    #expect(writer.positions == [.stdout: 30, .stderr: 40])
    let last = try writer.append(lines(5...5))
    #expect(last == 5)
}

@Test func whatAPowerCutHasLeftOfALineGoes() throws {
    let folder = TemporaryFolder()
    var writer = try JournalWriter(folder.path, origin: 77)
    try writer.append(lines(1...2))
    writer.close()
    let path = "\(folder.path)/\(JournalSegment.name(first: 1))"
    try File.replace(path, with: File.bytes(of: path) + Array(#"{"n":3,"t":5,"ru"#.utf8))
    writer = try JournalWriter(folder.path, origin: 88)
    #expect(writer.last == 2)
    try writer.append(lines(3...3))
    var reader = JournalReader(folder.path)
    let all = try reader.read(after: 0, limit: 9)
    #expect(texts(all.entries) == ["line 1", "line 2", "line 3"])
    // Nothing but the beginning of a first line: another journal.
    writer.close()
    try File.replace(path, with: Array(#"{"orig"#.utf8))
    writer = try JournalWriter(folder.path, origin: 88)
    #expect(writer.origin == 88 && writer.last == 0)
}

@Test func aJournalHasABoundAndSaysWhatIsMissing() throws {
    let folder = TemporaryFolder()
    var writer = try JournalWriter(folder.path, bytes: 64 << 10, origin: 77)
    try writer.append([.state(state)])
    var early = JournalReader(folder.path)
    let first = try early.read(after: 0, limit: 1)
    #expect(first.entries.count == 1)
    for first in stride(from: 2, to: 5_000, by: 50) { try writer.append(lines(first...first + 49)) }
    let size = try Folder.names(in: folder.path).reduce(0) { try $0 + File.bytes(of: "\(folder.path)/\($1)").count }
    #expect(size < 100 << 10)
    var reader = JournalReader(folder.path)
    let batch = try reader.read(after: 1, limit: 10_000)
    #expect(batch.entries[0].number > 1_000)
    #expect(batch.entries.last?.number == writer.last)
    #expect(zip(batch.entries, batch.entries.dropFirst()).allSatisfy { $1.number == $0.number + 1 })
    // One that was in the middle of what is gone now reads its segment to the end, and goes on after the gap.
    let rest = try early.read(after: 1, limit: 10_000)
    #expect(rest.entries.last?.number == writer.last)
    // The state and the positions outlive the entries that said so.
    writer.close()
    writer = try JournalWriter(folder.path, bytes: 64 << 10, origin: 88)
    #expect(writer.memory == state && writer.origin == 77)
    #expect(writer.positions[.stdout] == writer.last * 10)
}

@Test func statesOutliveTheLinesAroundThem() throws {
    let folder = TemporaryFolder()
    var writer = try JournalWriter(folder.path, bytes: 512 << 10, origin: 77)
    /// One that reads now and then, one that has stopped early, one that comes at the end.
    var often = JournalReader(folder.path), early = JournalReader(folder.path), late = JournalReader(folder.path)
    var seen: [[JournalEntry]] = [[], [], []], states: [Int64] = []
    for round in 1...100 {
        var state = state
        state.start = Int64(round)
        states.append(try writer.append([.state(state)]))
        try writer.append(lines(1...Int.random(in: 1...300)))
        if round % 7 == 0 { seen[0] += try often.read(after: seen[0].last?.number ?? 0, limit: 700).entries }
        if round == 3 { seen[1] += try early.read(after: 0, limit: 20).entries }
        if round == 50 {
            writer.close()
            writer = try JournalWriter(folder.path, bytes: 512 << 10, origin: 88)
        }
    }
    func finish(_ reader: inout JournalReader, _ entries: inout [JournalEntry]) throws {
        while case let more = try reader.read(after: entries.last?.number ?? 0, limit: 1_000).entries, !more.isEmpty {
            entries += more
        }
    }
    try finish(&often, &seen[0])
    try finish(&early, &seen[1])
    try finish(&late, &seen[2])
    for entries in seen {
        #expect(entries.last?.number == writer.last)
        #expect(zip(entries, entries.dropFirst()).allSatisfy { $0.number < $1.number })
        #expect(entries.filter { if case .state = $0.content { true } else { false } }.map(\.number) == states)
    }
    #expect(seen[2].count < Int(writer.last) - 2_000)
    let size = try Folder.names(in: folder.path).reduce(0) { try $0 + File.bytes(of: "\(folder.path)/\($1)").count }
    #expect(size < 700 << 10)
    // Nor do they grow without a bound.
    for _ in 1...100 { try writer.append(Array(repeating: .state(state), count: 50)) }
    #expect(try Folder.names(in: folder.path).count == 8)
    let all = try Folder.names(in: folder.path).reduce(0) { try $0 + File.bytes(of: "\(folder.path)/\($1)").count }
    #expect(all < 700 << 10)
}

/// Wherever a reader has stopped, and though all of that and what came next is gone: the states come.
@Test func aReaderThatStoppedAnywhereHasAllStates() throws {
    final class Reader {
        private var reader: JournalReader
        private(set) var entries: [JournalEntry] = []

        init(_ folder: String) { reader = JournalReader(folder) }

        func read(_ limit: Int) throws -> Bool {
            let more = try reader.read(after: entries.last?.number ?? 0, limit: limit).entries
            entries += more
            return !more.isEmpty
        }
    }
    let folder = TemporaryFolder()
    var writer = try JournalWriter(folder.path, bytes: 64 << 10, origin: 77)
    var states: [Int64] = []
    func write(segments: Int) throws {
        let before = try Folder.names(in: folder.path).max() ?? ""
        var names = Set([before])
        while names.count <= segments {
            states.append(try writer.append([.state(state)]))
            try writer.append(lines(1...100))
            names.insert(try Folder.names(in: folder.path).max() ?? "")
        }
    }
    try write(segments: 5)
    let stops = stride(from: 1, through: Int(writer.last), by: 23)
    let readers = stops.map { _ in Reader(folder.path) }
    for (reader, stop) in zip(readers, stops) {
        while reader.entries.count < stop { #expect(try reader.read(stop - reader.entries.count)) }
    }
    for segments in [1, 4, 10] {
        try write(segments: segments)
        for (index, reader) in readers.enumerated() where index % 2 == 0 { _ = try reader.read(1 + index % 90) }
    }
    for reader in readers {
        while try reader.read(500) {}
        #expect(reader.entries.last?.number == writer.last)
        #expect(reader.entries.filter { if case .state = $0.content { true } else { false } }.map(\.number) == states)
    }
}

extension JournalReader {
    fileprivate mutating func read(after number: Int64, limit: Int) throws -> Batch {
        let batch = entries(after: number, limit: limit)
        return try #require(batch)
    }
}
