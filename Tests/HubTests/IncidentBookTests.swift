import Testing

@testable import Hub

@Suite struct IncidentBookTests {
    private let key = IncidentBook.Key(kind: "ingest", subject: "hub")

    /// Everything that is to be written, as if it were.
    private func write(_ book: inout IncidentBook) -> [IncidentBook.Change] {
        var changes: [IncidentBook.Change] = []
        while let change = book.nextChange {
            changes.append(change)
            book.wroteNext()
        }
        return changes
    }

    @Test func anIncidentIsToldOnceAndItsReasonKeptUpToDate() {
        var book = IncidentBook()
        #expect(book.open(key, reason: "a", at: 1) == true)
        #expect(book.open(key, reason: "a", at: 2) == false)
        #expect(write(&book) == [.opened(key, reason: "a", at: 1)])
        #expect(book.open(key, reason: "b", at: 3) == false)
        #expect(book.open(key, reason: "c", at: 4) == false)
        #expect(write(&book) == [.opened(key, reason: "c", at: 3)])
        #expect(book.close(key, at: 5) == "c")
        #expect(book.close(key, at: 6) == nil)
        #expect(write(&book) == [.closed(key, at: 5)])
    }

    @Test func whatOpensAndClosesWhileTheDatabaseIsAwayIsOnRecord() {
        var book = IncidentBook()
        let other = IncidentBook.Key(kind: "broker-drops", subject: "broker")
        #expect(book.open(key, reason: "a", at: 1) == true)
        #expect(book.open(other, reason: "x", at: 2) == true)
        #expect(book.close(key, at: 3) == "a")
        #expect(book.open(key, reason: "a", at: 4) == true)
        let changes = write(&book)
        #expect(
            changes == [
                .opened(key, reason: "a", at: 1), .opened(other, reason: "x", at: 2), .closed(key, at: 3),
                .opened(key, reason: "a", at: 4),
            ])
    }

    @Test func whatAnEarlierHubHasLeftOpenIsClosed() {
        var book = IncidentBook(open: [key: "a"])
        #expect(book.open(key, reason: "a", at: 1) == false)
        #expect(book.nextChange == nil)
        #expect(book.close(key, at: 2) == "a")
        #expect(write(&book) == [.closed(key, at: 2)])
    }

    @Test func theOldestAreForgottenBeyondABound() {
        var book = IncidentBook()
        for time in 0..<Int64(IncidentBook.maximumUnwritten) {
            #expect(book.open(key, reason: "a", at: time) == true)
            #expect(book.close(key, at: time) == "a")
        }
        let changes = write(&book)
        #expect(changes.count == IncidentBook.maximumUnwritten)
        #expect(changes.last == .closed(key, at: Int64(IncidentBook.maximumUnwritten) - 1))
    }
}
