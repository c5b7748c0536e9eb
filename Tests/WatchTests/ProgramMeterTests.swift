import HubModel
import Testing

@testable import Watch

/// With 100 ticks in a second and pages of 4096 bytes.
private func stat(
    _ pid: Int32, parent: Int32 = 1, group: Int32 = 10, session: Int32 = 10, own: Int64 = 0, children: Int64 = 0,
    start: Int64 = 0, pages: Int64 = 1, state: String = "S"
) -> ProcessStat {
    let text =
        "\(pid) (p) \(state) \(parent) \(group) \(session) 0 0 0 0 0 0 0 \(own) 0 \(children) 0 20 0 2 0 \(start) 0 "
        + "\(pages) 0"
    return ProcessStat(parsing: Array(text.utf8)[...])!
}

private func sample(
    _ stat: ProcessStat, read: Int64? = nil, files: Int64? = nil, memory: ProcessSample.Memory? = nil
) -> ProcessSample {
    ProcessSample(
        stat: stat, memory: memory, files: files, transfer: read.map { .init(read: $0, written: 2 * $0) })
}

extension ProgramMeter {
    fileprivate mutating func measure(_ samples: ProcessSample..., at now: Double, since before: Double?)
        -> ProgramUsage
    {
        measure(
            leader: samples[0].stat, samples, at: now, since: before, ticksPerSecond: 100, pageSize: 4_096)
    }
}

@Test func cpuIsThatOfTheInterval() {
    var meter = ProgramMeter()
    #expect(meter.measure(sample(stat(10, own: 500)), at: 100, since: nil).cpuPercent == nil)
    let second = meter.measure(sample(stat(10, own: 750)), at: 105, since: 100)
    #expect(second.cpuPercent == 50)
    #expect(second.uptimeSeconds == 105)
    // Two cores.
    #expect(meter.measure(sample(stat(10, own: 1_750)), at: 110, since: 105).cpuPercent == 200)
    #expect(meter.measure(sample(stat(10, own: 1_750)), at: 115, since: 110).cpuPercent == 0)
}

@Test func aProgramThatHasJustBegunIsMeasuredFromItsStart() {
    var meter = ProgramMeter()
    #expect(meter.measure(sample(stat(10, own: 100, start: 10_200)), at: 105, since: 100).cpuPercent == 20)
    // Another run is another program.
    let other = meter.measure(sample(stat(11, own: 50, start: 10_600)), at: 110, since: 105)
    #expect(other.cpuPercent == 10)
    #expect(other.uptimeSeconds == 4)
    // One that was there before somebody looked is not known for this interval.
    #expect(meter.measure(sample(stat(12, own: 50, start: 100)), at: 115, since: 110).cpuPercent == nil)
}

@Test func whatAChildTookIsNotCountedTwiceWhenItEnds() {
    var meter = ProgramMeter()
    _ = meter.measure(sample(stat(10, own: 10)), at: 100, since: nil)
    // A child that began in between, with 100 ticks.
    let busy = meter.measure(
        sample(stat(10, own: 10)), sample(stat(20, parent: 10, own: 100, start: 10_100)), at: 105, since: 100)
    #expect(busy.cpuPercent == 20)
    #expect(busy.processes == 2 && busy.threads == 4)
    // It took 50 more and ended; its parent has waited for it.
    #expect(meter.measure(sample(stat(10, own: 10, children: 150)), at: 110, since: 105).cpuPercent == 10)
    // One that came and went between two looks.
    #expect(meter.measure(sample(stat(10, own: 10, children: 650)), at: 115, since: 110).cpuPercent == 100)
}

@Test func aChildForWhichNobodyOfTheProgramWaitsTakesNothingBack() {
    var meter = ProgramMeter()
    _ = meter.measure(sample(stat(10, own: 10)), sample(stat(20, own: 9_000)), at: 100, since: nil)
    #expect(meter.measure(sample(stat(10, own: 260)), at: 105, since: 100).cpuPercent == 50)
}

@Test func aProcessThatJoinsBringsNothingFromBefore() {
    var meter = ProgramMeter()
    _ = meter.measure(sample(stat(10)), at: 100, since: nil)
    // It was there long ago: a number of another start, too.
    let usage = meter.measure(sample(stat(10)), sample(stat(30, own: 5_000, start: 50)), at: 105, since: 100)
    #expect(usage.cpuPercent == 0)
}

@Test func aNumberThatIsGivenAgainIsAnotherProcess() {
    var meter = ProgramMeter()
    _ = meter.measure(sample(stat(10)), sample(stat(20, own: 700, start: 100)), at: 100, since: nil)
    let usage = meter.measure(
        sample(stat(10, children: 700)), sample(stat(20, own: 25, start: 10_300)), at: 105, since: 100)
    #expect(usage.cpuPercent == 5)
}

@Test func sumsAreOfAllProcessesThatLive() {
    var meter = ProgramMeter()
    let usage = meter.measure(
        sample(stat(10, pages: 3), files: 4, memory: .init(proportional: 7, private: 5)),
        sample(stat(20, pages: 2), files: 1, memory: .init(proportional: 3, private: 2)),
        // Of somebody else, who does not let us look.
        sample(stat(21, pages: 1)),
        sample(stat(22, pages: 0, state: "Z")), at: 1, since: nil)
    #expect(usage.memory == 6 * 4_096 && usage.processes == 3 && usage.threads == 6)
    #expect(usage.files == 5 && usage.proportionalMemory == 10 && usage.privateMemory == 7)
    #expect(usage.bytesRead == nil && usage.bytesWritten == nil)
}

@Test func bytesAreCountedOnceSinceTheStart() {
    var meter = ProgramMeter()
    var usage = meter.measure(sample(stat(10), read: 100), sample(stat(20), read: 30), at: 100, since: nil)
    #expect(usage.bytesRead == 130 && usage.bytesWritten == 260)
    // The child has ended, and still counts for itself.
    usage = meter.measure(sample(stat(10), read: 110), sample(stat(20, state: "Z")), at: 105, since: 100)
    #expect(usage.bytesRead == 140)
    // Now its parent has its bytes.
    usage = meter.measure(sample(stat(10), read: 150), at: 110, since: 105)
    #expect(usage.bytesRead == 150 && usage.bytesWritten == 300)
    usage = meter.measure(sample(stat(10), read: 150), sample(stat(21, start: 11_100), read: 5), at: 115, since: 110)
    #expect(usage.bytesRead == 155)
    // A new run begins anew.
    usage = meter.measure(sample(stat(11, start: 11_600), read: 1), at: 120, since: 115)
    #expect(usage.bytesRead == 1)
}

@Test func familiesAreSessionsGroupsAndDescendants() {
    let families = ProcessFamilies(
        [
            stat(1, parent: 0, group: 1, session: 1), stat(5, parent: 1, group: 5, session: 5),
            stat(10, parent: 5), stat(11, parent: 10),
            // Has lost its parent, and is of the session still.
            stat(12, parent: 1, group: 12, session: 10),
            // Has a session of its own; and so has its child.
            stat(13, parent: 11, group: 13, session: 13), stat(14, parent: 13, group: 14, session: 14),
            // Another program, and a stranger.
            stat(20, parent: 5, group: 20, session: 20), stat(30, parent: 1, group: 30, session: 30),
            // As read one after the other, they seem to be each other's parents.
            stat(40, parent: 41, group: 40, session: 40), stat(41, parent: 40, group: 41, session: 41),
        ], leaders: [10, 20, 99])
    let members = families.members().mapValues { $0.map(\.pid) }
    #expect(members == [10: [10, 11, 12, 13, 14], 20: [20]])
    #expect(families.stat(of: 13)?.parent == 11)
    #expect(families.stat(of: 99) == nil)
}

@Test func theProgramsOwnProcessIsBelowItsWrappers() {
    let family = [
        stat(10, parent: 5, start: 100), stat(12, parent: 10, start: 100), stat(13, parent: 12, start: 101),
        // A number that was given again, and an orphan of the program.
        stat(11, parent: 12, start: 300), stat(15, parent: 13, start: 102),
    ]
    func wrapped(_ wrappers: Int, _ count: Int = 5) -> Int32 {
        ProcessFamilies.wrapped(in: family[0], wrappers: wrappers, of: Array(family.prefix(count))).pid
    }
    #expect(wrapped(0) == 10)
    #expect(wrapped(1) == 12)
    #expect(wrapped(2) == 13)
    // While it is being made.
    #expect(wrapped(2, 2) == 12)
    #expect(wrapped(2, 1) == 10)
    #expect(ProcessFamilies.wrapped(in: family[0], wrappers: 2, of: []).pid == 10)
}
