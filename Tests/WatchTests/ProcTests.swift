import Glibc
import Testing

@testable import Watch

private func stat(_ text: String) -> ProcessStat? { ProcessStat(parsing: Array(text.utf8)[...]) }

/// A line of /proc/PID/stat of Linux 6, all 52 fields.
private func line(pid: Int32 = 1234, name: String = "sleep", fields: String) -> String {
    "\(pid) (\(name)) \(fields) 4194304 123 0 0 0 9 4 2 1 20 -5 3 0 8812 6750208 473 18446744073709551615 "
        + "94262474481664 94262474499033 140736027541904 0 0 0 0 0 0 1 0 0 17 1 0 0 0 0 0 94262474511984 "
        + "94262474513288 94262998245376 140736027549405 140736027549416 140736027549416 140736027553769 0\n"
}

@Test func aStatLineIsRead() throws {
    let process = try #require(stat(line(fields: "S 17 1200 1100 34816 1234")))
    #expect(process.pid == 1234 && process.parent == 17 && process.group == 1200 && process.session == 1100)
    #expect(!process.isZombie)
    // utime 9 and stime 4, cutime 2 and cstime 1.
    #expect(process.ownTicks == 13 && process.childTicks == 3)
    #expect(process.threads == 3 && process.startTime == 8812 && process.residentPages == 473)
}

@Test(arguments: [
    "a b", ")", "(", ") S 1 1 1 1 1 1 1 1 1", "a\nb", "", "((()))", "x) R 2 2 2", "\u{1B}[2J", "\t", "-", "9 (z) S",
])
func aProcessMayHaveAnyName(_ name: String) throws {
    let process = try #require(stat(line(pid: 7, name: name, fields: "Z 17 1200 1100 0 -1")))
    #expect(process.pid == 7 && process.parent == 17 && process.session == 1100 && process.startTime == 8812)
    #expect(process.isZombie)
}

@Test(arguments: [
    "", ")", "7", "7 (a", "7 (a)", "7 (a) S", "7 (a) S 1 2 3", "x (a) S 1 2 3 4 5 6 7 8 9 1 1 1 1 1 1 1 1 1 1 1 1 1",
    "7 (a) S one 2 3 4 5 6 7 8 9 1 1 1 1 1 1 1 1 1 1 1 1 1", "0 (a) S 1 2 3 4 5 6 7 8 9 1 1 1 1 1 1 1 1 1 1 1 1 1",
    "7 (a) S 99999999999 2 3 4 5 6 7 8 9 1 1 1 1 1 1 1 1 1 1 1 1 1",
])
func whatIsNoStatLineIsNotRead(_ text: String) {
    #expect(stat(text) == nil)
}

@Test func ourOwnProcessIsRead() throws {
    let process = try #require(ProcessStat(pid: getpid()))
    #expect(process.pid == getpid() && process.parent == getppid() && process.group == getpgrp())
    #expect(process.threads >= 1 && process.residentPages > 100)
    #expect(ProcessStat(pid: 0x7FFF_FFFF) == nil)
}

@Test func numbersOfAnyLengthAreRead() {
    var text = ProcText(Array("  12 -7\n99999999999999999999 x 1x\t8".utf8)[...])
    #expect(text.number() == 12)
    #expect(text.number() == -7)
    #expect(text.number() == .max)
    #expect(text.number() == nil)
    #expect(text.number() == nil)
    #expect(text.number() == 8)
    #expect(text.number() == nil)
}

@Test func linesWithNamesAreFound() {
    let rollup = Array(
        """
        5599d5d3c000-7ffd6a7d9000 ---p 00000000 00:00 0                          [rollup]
        Rss:                1740 kB
        Pss:                 247 kB
        Pss_Dirty:           112 kB
        Private_Clean:        40 kB
        Private_Dirty:       112 kB

        """.utf8)[...]
    #expect(ProcessSample.Memory(rollup: rollup) == .init(proportional: 247 * 1_024, private: 152 * 1_024))
    #expect(ProcText.value(of: "Pss_Anon", in: rollup) == nil)
    #expect(ProcText.value(of: "Pss", in: Array("Pss\nPss:".utf8)[...]) == nil)
    #expect(ProcessSample.Memory(rollup: Array("Pss: 1 kB\n".utf8)[...]) == nil)
    #expect(ProcessSample.Memory(rollup: []) == nil)
}

@Test func theMachinesTicksAreRead() throws {
    let before = try #require(CPUTicks(parsing: Array("cpu  100 10 50 800 40 0 0 0 30 0\ncpu0 1 1 1 1\n".utf8)[...]))
    #expect(before.total == 1_000 && before.busy == 160)
    let after = try #require(CPUTicks(parsing: Array("cpu  150 10 50 825 65 0 0 0 60 0\n".utf8)[...]))
    #expect(after.percent(since: before) == 50)
    #expect(before.percent(since: before) == nil)
    // A counter that was set back.
    #expect(before.percent(since: after) == nil)
    for text in ["", "cpu", "cpu0 1 2 3 4", "cpu 1 2 x 4", "intr 1 2 3 4"] {
        #expect(CPUTicks(parsing: Array(text.utf8)[...]) == nil)
    }
}

@Test func theMachineIsMeasured() {
    var meter = MachineMeter()
    let first = meter.measure(at: 10)
    #expect(first.cpuPercent == nil && first.uptimeSeconds == 10 && first.load.count == 3)
    #expect(first.memoryTotal > 1 << 20 && (1...first.memoryTotal).contains(first.memoryAvailable))
    usleep(100_000)
    #expect((0...100).contains(meter.measure(at: 11).cpuPercent ?? -1))
}

@Test(
    arguments: [
        ("Name:\tsh\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000004001\nSigCgt:\t0000000000000002\n", [1, 15]),
        ("SigIgn:\tffffffffffffffff\n", Array(1...64)), ("SigIgn:\t0000000000000000\n", []), ("SigIgn:\tx\n", []),
        ("SigIgn:", []), ("", []),
    ] as [(String, [Int32])])
func ignoredSignalsAreRead(status: String, signals: [Int32]) {
    let ignored = ProcText.ignoredSignals(in: Array(status.utf8)[...])
    #expect((-1...70).filter { ignored.contains($0) } == signals)
}
