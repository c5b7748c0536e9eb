import Testing

@testable import SensorKit

private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

@Suite struct ScheduleTests {
    private var schedule = Schedule(interval: .seconds(1), start: at(500))

    @Test func firstDeadlineIsTheStart() {
        #expect(!schedule.isDue(at(499)))
        #expect(schedule.isDue(at(500)))
    }

    @Test mutating func latenessDoesNotAddUp() {
        #expect(schedule.advance(at(700)) == 0)
        #expect(schedule.next == at(1_500))
        #expect(schedule.advance(at(2_499)) == 0)
        #expect(schedule.next == at(2_500))
    }

    @Test mutating func skipsAndCountsDeadlinesThatPassed() {
        #expect(schedule.advance(at(3_600)) == 3)
        #expect(schedule.next == at(4_500))
        #expect(schedule.advance(at(5_500)) == 1)
        #expect(schedule.next == at(6_500))
    }

    @Test mutating func postponesToADeadline() {
        schedule.postpone(until: at(500))
        #expect(schedule.next == at(500))
        schedule.postpone(until: at(501))
        #expect(schedule.next == at(1_500))
        schedule.postpone(until: at(4_500))
        #expect(schedule.next == at(4_500))
    }

    @Test func shortIntervalsKeepTheirLength() {
        var schedule = Schedule(interval: .seconds(0.001), start: at(0))
        for _ in 0..<1_000 { _ = schedule.advance(schedule.next) }
        #expect(schedule.next == at(1_000))
    }
}

@Suite struct TallyTests {
    @Test func tellsAtOnceThenOnceAMinute() {
        let lines = Lines()
        var tally = Tally("readings were dropped", log: lines.log)
        tally.add(0, at: at(0))
        tally.add(1, at: at(0))
        tally.add(2, at: at(10), reason: "full")
        tally.add(3, at: at(59_000))
        #expect(lines.all == ["readings were dropped: 1"])
        tally.add(1, at: at(60_000))
        tally.tellRest()
        #expect(lines.all == ["readings were dropped: 1", "readings were dropped: 6 (full)"])
        tally.add(1, at: at(61_000))
        tally.tellRest()
        #expect(lines.all.count == 3)
    }
}
