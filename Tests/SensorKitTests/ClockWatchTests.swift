import Testing

@testable import SensorKit

/// - Parameters:
///   - time: in seconds since 1970.
///   - uptime: in seconds.
private func clocks(_ time: Double, _ uptime: Double, synchronized: Bool = false) -> ClockWatch.Sample {
    ClockWatch.Sample(
        time: Int64(time * 1e6), instant: Instant(nanoseconds: Int64(uptime * 1e9)), isSynchronized: synchronized)
}

@Suite struct ClockWatchTests {
    private let earliest: Int64 = 1_000_000_000

    @Test func believesAClockThatIsPlausibleOrSynchronized() {
        #expect(!ClockWatch(clocks(1_001, 5), earliest: earliest).isUncertain)
        #expect(!ClockWatch(clocks(10, 5, synchronized: true), earliest: earliest).isUncertain)
        #expect(ClockWatch(clocks(10, 5), earliest: earliest).isUncertain)
    }

    @Test func correctsByTheStep() {
        var watch = ClockWatch(clocks(10, 5), earliest: earliest)
        for seq in 1...3 {
            #expect(watch.observe(clocks(10 + Double(seq), 5 + Double(seq))) == [])
            watch.stamped(at(7, Int64(seq)))
        }
        let corrections = watch.observe(clocks(5_000, 9))
        #expect(corrections == [.init(span: span(7, 1...3), offset: 4_986_000_000)])
        #expect(!watch.isUncertain)
        watch.stamped(at(7, 4))
        #expect(watch.observe(clocks(90_000, 10)) == [])
    }

    @Test func timeThatPassesOrAStepToAnImpossibleTimeDoesNotMakeItRight() {
        var watch = ClockWatch(clocks(990, 5), earliest: earliest)
        watch.stamped(at(7, 1))
        #expect(watch.observe(clocks(1_010, 25)) == [])
        #expect(watch.isUncertain)
        watch.stamped(at(7, 2))
        #expect(watch.observe(clocks(500, 30)) == [])
        watch.stamped(at(7, 3))
        watch.stamped(at(8, 1))
        #expect(
            watch.observe(clocks(2_030, 30)) == [
                .init(span: span(7, 1...2), offset: 1_015_000_000),
                .init(span: span(7, 3...3), offset: 1_530_000_000),
                .init(span: span(8, 1...1), offset: 1_530_000_000),
            ])
    }

    @Test func aClockThatIsCalledRightWithoutAStepIsRight() {
        var watch = ClockWatch(clocks(990, 5), earliest: earliest)
        watch.stamped(at(7, 1))
        #expect(watch.observe(clocks(991.25, 6, synchronized: true)) == [.init(span: span(7, 1...1), offset: 250_000)])
        #expect(!watch.isUncertain)
    }
}
