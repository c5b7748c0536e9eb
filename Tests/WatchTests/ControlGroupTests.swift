import Files
import Glibc
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

    @Test(arguments: [
        ("0::/system.slice/run-r1.scope\n", "/system.slice/run-r1.scope"),
        ("4:memory:/a\n1:name=systemd:/b\n0::/c d (deleted)\n", "/c d"), ("0::/\n", "/"), ("4:memory:/a\n", nil),
        ("", nil),
    ])
    func theGroupOfAProcessIsThatOfVersion2(text: String, path: String?) {
        #expect(ControlGroup.path(in: Array(text.utf8)) == path)
    }

    @Test func theGroupOfAZombieIsTold() throws {
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer { close(null) }
        let pid = try ProgramProcess.spawn("/bin/true", arguments: [], streams: (null, null, null))
        var info = siginfo_t()
        waitid(P_PID, UInt32(pid), &info, WEXITED | WNOWAIT)
        let isTold = ControlGroup.path(of: pid) != nil
        waitpid(pid, nil, 0)
        // Where there are no control groups of version 2, we have none either.
        #expect(isTold == (ControlGroup.path(of: getpid()) != nil))
        #expect(ControlGroup.path(of: pid) == nil)
    }

    @Test func aScopeIsKnownByItsGroup() {
        #expect(SystemdScope(group: "/system.slice/run-r1.scope")?.name == "run-r1.scope")
        for group in ["/", "", "/system.slice/agent.service", "/x.scope/program", "/user.slice/-M.scope"] {
            #expect(SystemdScope(group: group) == nil)
        }
    }

    @Test func systemdIsAskedUntilTheScopeHasEnded() throws {
        let folder = TemporaryFolder()
        // Stands for systemctl, which tells at its third call.
        let script = """
            echo "$*" >>"\(folder.path)/asked"
            case $(wc -l <"\(folder.path)/asked") in
            1 | 2) printf 'ActiveState=active\nResult=success\n' ;;
            *) printf 'ActiveState=failed\nResult=%s\n' "$(cat "\(folder.path)/result")" ;;
            esac
            """
        try folder.write("systemctl", script)
        let systemctl = ["/bin/sh", "\(folder.path)/systemctl", "--user"]
        let scope = try #require(SystemdScope(group: "/a/run-r1.scope"))
        try folder.write("result", "timeout")
        #expect(!scope.wasOutOfMemory(systemctl))
        let asked = Array(repeating: "--user show --property=ActiveState,Result -- run-r1.scope\n", count: 3).joined()
        #expect(try File.text(of: "\(folder.path)/asked", limit: 4_096) == asked)
        try folder.write("result", "oom-kill")
        #expect(scope.wasOutOfMemory(systemctl))
        #expect(
            try File.text(of: "\(folder.path)/asked", limit: 4_096).hasSuffix("--user reset-failed -- run-r1.scope\n"))
        // Who cannot be asked has not said so.
        #expect(!scope.wasOutOfMemory(["/no/systemctl"]))
        #expect(!scope.wasOutOfMemory(["/bin/false"]))
    }

    @Test func aSignalCanBeToldByAnExitCode() {
        #expect(ProgramEnding.exited(139).ofWrapped == .signaled(11))
        #expect(ProgramEnding.exited(128).ofWrapped == .exited(128))
        #expect(ProgramEnding.exited(193).ofWrapped == .exited(193))
        #expect(ProgramEnding.exited(3).ofWrapped == .exited(3))
        #expect(ProgramEnding.signaled(9).ofWrapped == .signaled(9))
    }
}
