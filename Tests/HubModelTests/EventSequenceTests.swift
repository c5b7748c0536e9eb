import HubModel
import SimdJSON
import Testing

@Suite struct EventSequenceTests {
    private func event(_ time: Int64, kind: String = "node.online", subject: String = "a") -> JSON {
        ["t": .int(time), "kind": .string(kind), "subject": .string(subject)]
    }

    private func sequence(after past: JSON...) -> EventSequence {
        EventSequence(kinds: ["node.online", "node.offline"], after: past)
    }

    @Test func eachIsGivenOutOnce() {
        var sequence = sequence(after: event(5))
        #expect(sequence.take([event(5), event(7), event(7, subject: "b")]) == [event(7), event(7, subject: "b")])
        // As a message, and on record with what was not heard.
        let missed = event(6, kind: "node.offline")
        #expect(sequence.take([missed, event(7)]) == [missed])
        #expect(sequence.take([missed, event(7), event(7, subject: "b")]) == [])
    }

    @Test func otherKindsAndWhatIsNoEventAreLeftOut() {
        var sequence = sequence()
        #expect(sequence.take([event(1, kind: "type.changed"), [:], 5, ["t": 1], ["kind": "node.online"]]) == [])
    }

    @Test func itAsksForWhatMayNotHaveCome() {
        var sequence = sequence(after: event(5_000_000), event(3_000_000))
        #expect(sequence.missing["since"] == 5_000_000, "what was before is not to be told")
        _ = sequence.take([event(300_000_000)])
        #expect(sequence.missing["since"] == 240_000_000, "what is on record a little later may be a little older")
        #expect(sequence.missing["kinds"] == ["node.offline", "node.online"])
    }

    @Test func whereNothingWasOnRecordEverythingIsNew() {
        #expect(sequence().missing["since"] == 0)
    }

    @Test func ofManyTheLastTenThousandAreKnown() {
        var sequence = sequence(after: event(0))
        let events = (1...30_000).map { event($0) }
        #expect(sequence.take(events).count == 30_000)
        #expect(sequence.take(Array(events.suffix(10_000))) == [])
    }
}
