import HubModel
import TestSupport
import Testing

@testable import Agent
@testable import Watch

private func lines(_ count: Int) -> [JournalContent] {
    (0..<count).map { .line(OutputLine(time: 5, stream: .stdout, text: "line \($0)", end: Int64($0)), run: 1) }
}

@Test func theHubIsSentOnlyWhatListenersWereTold() throws {
    let temporary = TemporaryFolder()
    let folder = WatchFolder(temporary.path)
    var writer = try JournalWriter(folder.journal, origin: 7)
    try writer.append(lines(2))
    var journal = ProgramJournal(folder)
    let early = journal.next(at: .now)
    #expect(early == nil)
    let first = journal.takeNews()
    #expect(first.map(\.number) == [1, 2])
    // The program goes on writing meanwhile.
    try writer.append(lines(3))
    let batch = journal.next(at: .now)
    #expect(batch?.after == 0 && batch?.entries.map(\.number) == [1, 2])
    journal.hubHas(JournalPosition(origin: 7, number: 2))
    let untold = journal.next(at: .now)
    #expect(untold == nil && !journal.isCommitted)
    let second = journal.takeNews()
    #expect(second.map(\.number) == [3, 4, 5])
    let rest = journal.next(at: .now)
    #expect(rest?.after == 2 && rest?.entries.map(\.number) == [3, 4, 5])
    journal.hubHas(JournalPosition(origin: 7, number: 5))
    let none = journal.next(at: .now)
    #expect(none == nil && journal.isCommitted)
    withExtendedLifetime(temporary) {}
}
