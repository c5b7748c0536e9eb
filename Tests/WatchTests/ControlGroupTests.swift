import TestSupport
import Testing

@testable import Watch

@Suite struct ControlGroupTests {
    @Test func killsForWantOfMemoryAreCounted() throws {
        let folder = TemporaryFolder()
        #expect(ControlGroup.outOfMemoryKills(in: folder.path) == nil)
        try folder.write("memory.events", "low 0\nhigh 3\nmax 120\noom 2\noom_kill 7\noom_group_kill 1\n")
        #expect(ControlGroup.outOfMemoryKills(in: folder.path) == 7)
    }

    @Test(arguments: ["", "oom_kill", "oom_kill x\n", "oom_kills 3\n"])
    func whatIsNotToldIsNil(text: String) {
        #expect(ControlGroup.outOfMemoryKills(in: Array(text.utf8)) == nil)
    }

    @Test func aSignalCanBeToldByAnExitCode() {
        #expect(ProgramEnding.exited(139).ofWrapped == .signaled(11))
        #expect(ProgramEnding.exited(128).ofWrapped == .exited(128))
        #expect(ProgramEnding.exited(193).ofWrapped == .exited(193))
        #expect(ProgramEnding.exited(3).ofWrapped == .exited(3))
        #expect(ProgramEnding.signaled(9).ofWrapped == .signaled(9))
    }
}
