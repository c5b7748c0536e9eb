import Glibc
import HubModel
import Synchronization
import Testing

@testable import Watch
@testable import WatchInProcess

@Test func outputAndExitOfARealProgram() async {
    let watch = Watched(
        "echo out; echo err >&2; printf 'bad \\377 byte\\n'; printf unfinished; exit 3",
        RestartPolicy(.never, startSeconds: .zero))
    await watch.program.start()
    let status = await watch.program.waitUntilIdle()
    #expect(status.state == .exited)
    #expect(status.reason == "exit code 3: err")
    #expect(status.exitCode == 3)
    #expect(status.run == 1)
    #expect(watch.lines(.stdout) == ["out", "bad \u{FFFD} byte", "unfinished"])
    #expect(watch.lines(.stderr) == ["err"])
    #expect(watch.states == [.starting, .running, .exited])
    // What it said comes before its end.
    if case .state(let last)? = watch.events.last { #expect(last.state == .exited) } else { Issue.record("no state") }
}

@Test func nothingOfOurEnvironmentIsInherited() async {
    var specification = shell("echo \"$A|$HOME\"; pwd; cat; readlink /proc/self/fd/0", .never)
    specification.environment["A"] = "1"
    specification.workingDirectory = "/usr"
    let watch = Watched(specification)
    await watch.program.start()
    await watch.program.waitUntilIdle()
    #expect(watch.lines(.stdout) == ["1|", "/usr", "/dev/null"])
}

@Test func aFailingProgramIsStartedAgainAndGivenUp() async {
    let watch = Watched(
        "echo oh no >&2; exit 1",
        RestartPolicy(
            .unexpected, startSeconds: .seconds(600), startRetries: 2, backoffFirst: .milliseconds(20),
            backoffCap: .milliseconds(50)))
    await watch.program.start()
    let status = await watch.program.waitUntilIdle()
    #expect(status.state == .fatal)
    #expect(status.reason == "given up after 3 failed starts, the last one: exited before 600 s: exit code 1: oh no")
    #expect(status.run == 3)
    #expect(watch.states == [.starting, .backoff, .starting, .backoff, .starting, .fatal])
}

@Test func whatIsMissingIsNamed() async {
    func reason(_ change: (inout ProgramSpecification) -> Void) async -> String {
        var specification = shell("exit 0", .never)
        change(&specification)
        let watch = Watched(specification)
        await watch.program.start()
        let status = await watch.program.waitUntilIdle()
        #expect(status.state == .fatal)
        return status.reason
    }
    #expect(await reason { $0.executable = "/nowhere/prog" } == "the program '/nowhere/prog' does not exist")
    #expect(await reason { $0.executable = "no-such-program" } == "the program 'no-such-program' is not in PATH")
    #expect(await reason { $0.executable = "/etc/passwd" } == "the program '/etc/passwd' may not be executed")
    #expect(
        await reason { $0.workingDirectory = "/nowhere" }
            == "'/bin/sh' cannot be started: there is no folder '/nowhere'")
    #expect(await reason { $0.environment["A=B"] = "" } == "the environment variable 'A=B' cannot be passed on")
}

@Test func stopEndsTheWholeGroup() async throws {
    let watch = Watched("sleep 1000 & echo $!; echo ready; wait")
    await watch.program.start()
    try await watch.wait { $0.lines(.stdout).last == "ready" }
    let child = try #require(Int32(watch.lines(.stdout)[0]))
    await watch.program.stop(reason: "test over")
    let status = await watch.program.status
    #expect(status.state == .stopped)
    #expect(status.reason == "asked to stop: test over")
    #expect(status.signal == SIGTERM)
    #expect(watch.states == [.starting, .running, .stopping, .stopped])
    try await waitUntilGone(child)
}

@Test func whoDoesNotListenIsKilled() async throws {
    var specification = shell("trap '' TERM; echo ready; while :; do sleep 0.1; done")
    specification.stopWait = .milliseconds(300)
    let watch = Watched(specification)
    await watch.program.start()
    try await watch.wait { $0.lines(.stdout) == ["ready"] }
    let start = ContinuousClock.now
    await watch.program.stop(reason: "test over")
    #expect(ContinuousClock.now - start < .seconds(300))
    let status = await watch.program.status
    #expect(status.signal == SIGKILL)
    #expect(status.reason == "asked to stop: test over; killed, as it had not ended after 0.3 s")
}

@Test func theConfiguredStopSignalIsSent() async throws {
    var specification = shell("trap 'echo got INT; exit 5' INT; echo ready; while :; do sleep 0.05; done")
    specification.stopSignal = SIGINT
    let watch = Watched(specification)
    await watch.program.start()
    try await watch.wait { $0.lines(.stdout) == ["ready"] }
    await watch.program.stop(reason: "test over")
    #expect(watch.lines(.stdout).last == "got INT")
    #expect(await watch.program.status.exitCode == 5)
}

@Test func aSignalReachesTheGroup() async throws {
    let watch = Watched("trap 'echo got HUP' HUP; echo ready; while :; do sleep 0.05; done")
    await watch.program.send(signal: SIGHUP)
    await watch.program.start()
    try await watch.wait { $0.lines(.stdout) == ["ready"] }
    await watch.program.send(signal: SIGHUP)
    try await watch.wait { $0.lines(.stdout).last == "got HUP" }
    #expect(await watch.program.status.state == .running)
    await watch.program.stop(reason: "test over")
    await watch.program.send(signal: SIGKILL)
}

@Test func stopDuringTheBackoff() async throws {
    let watch = Watched("exit 1", RestartPolicy(.always, startRetries: nil, backoffFirst: .seconds(60)))
    await watch.program.start()
    try await watch.wait { $0.states.last == .backoff }
    await watch.program.stop(reason: "test over")
    #expect(await watch.program.status.state == .stopped)
}

@Test func aGrandchildWithThePipeDoesNotHideTheExit() async throws {
    // One in the group, one in a session of its own; both keep the output open.
    let watch = Watched("sleep 1000 & echo $!; setsid sleep 1000 & echo $!; exit 4", .never)
    let start = ContinuousClock.now
    await watch.program.start()
    let status = await watch.program.waitUntilIdle()
    #expect(ContinuousClock.now - start < .seconds(300))
    #expect(status.exitCode == 4)
    let pids = watch.lines(.stdout).compactMap { Int32($0) }
    try #require(pids.count == 2)
    try await waitUntilGone(pids[0])
    kill(pids[1], SIGKILL)
}

@Test func aGrandchildThatFloodsThePipeDoesNotHideTheExit() async throws {
    let watch = Watched("setsid sh -c 'echo $$; exec yes' & sleep 0.3; exit 4", .never)
    await watch.program.start()
    let status = await watch.program.waitUntilIdle()
    #expect(status.exitCode == 4)
    // It gets SIGPIPE once nobody reads.
    if let pid = watch.lines(.stdout).first.flatMap({ Int32($0) }) { try await waitUntilGone(pid) }
}

@Test func aFloodIsCountedNotKept() async throws {
    let watch = Watched("yes | head -n 200000; echo end >&2", .never)
    await watch.program.start()
    await watch.program.waitUntilIdle()
    let lines = watch.lines(.stdout).count
    let notices = watch.lines(.stderr).filter { $0.contains("lines dropped") }
    let dropped = notices.compactMap { Int($0.split(separator: " ")[1]) }.reduce(0, +)
    #expect(lines >= 500)
    #expect(lines + watch.lines(.stderr).count - notices.count + dropped == 200_001)
}

@Test func aProgramThatClosesItsOutputIsStillWatched() async {
    let watch = Watched("exec >&- 2>&-; sleep 0.3; exit 6", .never)
    await watch.program.start()
    #expect(await watch.program.waitUntilIdle().exitCode == 6)
}

@Test func killedFromOutside() async throws {
    let watch = Watched(
        "echo $$; exec sleep 1000",
        RestartPolicy(.unexpected, startSeconds: .milliseconds(50), backoffFirst: .milliseconds(20)))
    await watch.program.start()
    try await watch.wait { $0.states.last == .running && !$0.lines(.stdout).isEmpty }
    kill(try #require(Int32(watch.lines(.stdout)[0])), SIGKILL)
    try await watch.wait { $0.states == [.starting, .running, .exited, .starting, .running] }
    let exit = watch.statuses[2]
    #expect(exit.reason == "killed by signal 9 (SIGKILL); started again at once")
    #expect(exit.signal == SIGKILL)
    await watch.program.stop(reason: "test over")
}

@Test func manyProgramsAtOnce() async throws {
    let restart = RestartPolicy(
        .always, startSeconds: .zero, startRetries: nil, backoffFirst: .milliseconds(20), backoffCap: .milliseconds(40))
    let watches = (0..<100).map { Watched("echo run \($0); sleep 0.0\($0 % 10); exit 1", restart) }
    for watch in watches { await watch.program.start() }
    for watch in watches {
        try await watch.wait { $0.statuses.last.map { $0.run >= 3 } ?? false }
    }
    await withTaskGroup { tasks in
        for watch in watches { tasks.addTask { await watch.program.stop(reason: "test over") } }
    }
    for (index, watch) in watches.enumerated() {
        #expect(watch.states.last == .stopped)
        #expect(Set(watch.lines(.stdout)) == ["run \(index)"])
    }
}

@Test(.enabled(if: getuid() == 0)) func runsAsSomebodyElse() async {
    var specification = shell("id -u; id -g; id -G", .never)
    specification.userID = 65_534
    specification.groupID = 65_534
    let watch = Watched(specification)
    await watch.program.start()
    await watch.program.waitUntilIdle()
    #expect(watch.lines(.stdout) == ["65534", "65534", "65534"])
}
