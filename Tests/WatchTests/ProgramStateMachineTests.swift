import Glibc
import HubModel
import Testing

@testable import Watch

/// Drives a machine, keeping the last timer and what was reported.
private struct Drive {
    var machine: ProgramStateMachine
    var time: Int64 = 1_000_000
    var timer: (timer: ProgramStateMachine.Timer, duration: Duration)?
    var actions: [ProgramStateMachine.Action] = []

    init(_ restart: RestartPolicy, stopWait: Duration = .seconds(10)) {
        let specification = ProgramSpecification(executable: "x", restart: restart, stopWait: stopWait)
        machine = ProgramStateMachine(specification, at: time)
    }

    mutating func send(_ event: ProgramStateMachine.Event, after seconds: Int64 = 1) {
        time += seconds * 1_000_000
        actions = machine.handle(event, at: time)
        for case .setTimer(let timer, let duration) in actions { self.timer = (timer, duration) }
    }

    mutating func sendTimer(after seconds: Int64 = 1) {
        send(.timer(timer!.timer), after: seconds)
    }

    /// Up to RUNNING.
    mutating func run() {
        send(.start)
        send(.launched(pid: 42))
        sendTimer()
    }

    var state: ProgramState { machine.status.state }
    var reason: String { machine.status.reason }
    var reports: [ProgramState] {
        actions.compactMap { if case .report(let status) = $0 { status.state } else { nil } }
    }
    var signals: [Int32] { actions.compactMap { if case .signal(let signal) = $0 { signal } else { nil } } }
    var launches: Bool { actions.contains(.launch) }
}

@Test func aProgramIsRunningOnlyAfterItsStartSeconds() {
    var drive = Drive(RestartPolicy(.always, startSeconds: .seconds(3)))
    #expect(drive.state == .stopped)
    drive.send(.start)
    #expect(drive.state == .starting)
    #expect(drive.launches)
    #expect(drive.machine.status.run == 1)
    #expect(drive.reports.isEmpty)
    drive.send(.launched(pid: 42))
    #expect(drive.reports == [.starting])
    #expect(drive.machine.status.pid == 42)
    #expect(drive.timer?.duration == .seconds(3))
    drive.sendTimer(after: 3)
    #expect(drive.state == .running)
    #expect(drive.reason == "up for 3 s")
    #expect(drive.machine.status.since == drive.time)
}

@Test func withoutStartSecondsItIsRunningAtOnce() {
    var drive = Drive(RestartPolicy(.always, startSeconds: .zero))
    drive.send(.start)
    drive.send(.launched(pid: 42))
    #expect(drive.reports == [.starting, .running])
    #expect(drive.timer == nil)
}

@Test func anEarlyExitIsAFailedStart() {
    var drive = Drive(RestartPolicy(.unexpected, startRetries: 2, backoffFirst: .seconds(4), backoffCap: .seconds(9)))
    drive.send(.start)
    drive.send(.launched(pid: 42))
    let start = drive.timer!.timer
    drive.send(.ended(.exited(127), lastErrorLine: "sh: nonsense: not found"))
    #expect(drive.state == .backoff)
    #expect(drive.reason.hasPrefix("exited before 1 s: exit code 127: sh: nonsense: not found; next start in "))
    #expect(drive.machine.status.exitCode == 127)
    #expect(drive.machine.status.pid == nil)
    #expect((Duration.seconds(2)...Duration.seconds(4)).contains(drive.timer!.duration))

    // The timer of the failed start comes late.
    drive.send(.timer(start))
    #expect(drive.state == .backoff)

    drive.sendTimer()
    #expect(drive.state == .starting)
    #expect(drive.reason == "started again after: exited before 1 s: exit code 127: sh: nonsense: not found")
    #expect(drive.machine.status.run == 2)
    #expect(drive.machine.status.exitCode == nil)
    drive.send(.launched(pid: 43))
    drive.send(.ended(.exited(127), lastErrorLine: nil))
    #expect((Duration.seconds(4)...Duration.seconds(8)).contains(drive.timer!.duration))
    drive.sendTimer()
    drive.send(.launched(pid: 44))
    drive.send(.ended(.signaled(SIGSEGV), lastErrorLine: nil))
    #expect(drive.state == .fatal)
    #expect(
        drive.reason
            == "given up after 3 failed starts, the last one: exited before 1 s: killed by signal 11 (SIGSEGV)")
    #expect(drive.machine.isIdle)
}

@Test func theBackoffIsCapped() {
    var drive = Drive(
        RestartPolicy(.always, startRetries: nil, backoffFirst: .seconds(1), backoffCap: .seconds(30)))
    drive.send(.start)
    for _ in 0..<50 {
        drive.send(.launched(pid: 42))
        drive.send(.ended(.exited(1), lastErrorLine: nil))
        #expect(drive.state == .backoff)
        #expect(drive.timer!.duration <= .seconds(30))
        drive.sendTimer()
    }
    drive.send(.launched(pid: 42))
    drive.send(.ended(.exited(1), lastErrorLine: nil))
    #expect(drive.timer!.duration >= .seconds(15))
}

@Test func aSuccessfulStartForgetsTheFailedOnes() {
    var drive = Drive(RestartPolicy(.always, startRetries: 1))
    drive.send(.start)
    for _ in 0..<3 {
        drive.send(.launched(pid: 42))
        drive.send(.ended(.exited(1), lastErrorLine: nil))
        #expect(drive.state == .backoff)
        drive.sendTimer()
        drive.send(.launched(pid: 42))
        drive.sendTimer()
        #expect(drive.state == .running)
        drive.send(.ended(.exited(1), lastErrorLine: nil))
        drive.sendTimer()
    }
}

@Test func aCrashLoopOfLongerRunsWaitsLongerEachTime() {
    var drive = Drive(RestartPolicy(.always, backoffFirst: .seconds(1), backoffCap: .seconds(30)))
    drive.send(.start)
    // The first end is met with a start at once: what works is not kept waiting.
    drive.send(.launched(pid: 42))
    drive.sendTimer()
    drive.send(.ended(.signaled(SIGKILL), lastErrorLine: nil), after: 5)
    #expect(drive.launches)
    #expect(drive.reports == [.exited])
    for _ in 0..<8 {
        drive.send(.launched(pid: 42))
        drive.sendTimer()
        drive.send(.ended(.signaled(SIGKILL), lastErrorLine: nil), after: 5)
        #expect(drive.state == .exited)
        #expect(drive.reason.hasPrefix("killed by signal 9 (SIGKILL); next start in "))
        #expect(!drive.machine.isIdle)
        drive.sendTimer()
    }
    #expect(drive.timer!.duration == .seconds(30) || drive.timer!.duration >= .seconds(1))
    drive.send(.launched(pid: 42))
    drive.sendTimer()
    drive.send(.ended(.signaled(SIGKILL), lastErrorLine: nil), after: 5)
    #expect(drive.timer!.duration >= .seconds(15))
    drive.sendTimer()
    // After a long run there is no wait again, and the next one is short.
    drive.send(.launched(pid: 42))
    drive.sendTimer()
    drive.send(.ended(.signaled(SIGKILL), lastErrorLine: nil), after: 31)
    #expect(drive.launches)
    drive.send(.launched(pid: 42))
    drive.sendTimer()
    drive.send(.ended(.signaled(SIGKILL), lastErrorLine: nil), after: 5)
    #expect(drive.timer!.duration <= .seconds(1))
}

@Test(arguments: [
    (RestartPolicy.never, ProgramEnding.exited(3), false), (.never, .exited(0), false),
    (.unexpected, .exited(0), false), (.unexpected, .exited(3), true), (.unexpected, .signaled(SIGTERM), true),
    (.always, .exited(0), true), (.always, .unknown("?"), true),
    (RestartPolicy(.unexpected, exitCodes: [0, 3]), .exited(3), false),
    (RestartPolicy(.unexpected, exitCodes: []), .exited(0), true),
])
func anEndAfterRunning(policy: RestartPolicy, ending: ProgramEnding, isStartedAgain: Bool) {
    var drive = Drive(policy)
    drive.run()
    drive.send(.ended(ending, lastErrorLine: nil))
    #expect(drive.reports == [.exited])
    #expect(drive.machine.isIdle == !isStartedAgain)
    #expect(drive.launches == isStartedAgain)
}

@Test func anExpectedExitIsAGoodEndHoweverEarly() {
    var drive = Drive(.unexpected)
    drive.send(.start)
    drive.send(.launched(pid: 42))
    drive.send(.ended(.exited(0), lastErrorLine: "a warning"))
    #expect(drive.state == .exited)
    #expect(drive.reason == "exit code 0")
    #expect(drive.machine.isIdle)
}

@Test func aFailedStartIsFinalUnderNever() {
    var drive = Drive(.never)
    drive.send(.start)
    drive.send(.launchFailed(reason: "the program 'x' does not exist"))
    #expect(drive.state == .fatal)
    #expect(drive.reason == "the program 'x' does not exist")
}

@Test(arguments: [true, false])
func aFatalExitCodeEndsItWithItsOwnWords(isRunning: Bool) {
    var drive = Drive(RestartPolicy(.always, fatalExitCodes: [78], startRetries: nil))
    if isRunning {
        drive.run()
    } else {
        drive.send(.start)
        drive.send(.launched(pid: 42))
    }
    drive.send(.ended(.exited(78), lastErrorLine: "attributes.bus: is missing"))
    #expect(drive.state == .fatal)
    #expect(drive.reason == "attributes.bus: is missing")
    #expect(drive.machine.status.exitCode == 78)
}

@Test func aMissingProgramIsTriedAgain() {
    var drive = Drive(RestartPolicy(.always, startRetries: 1))
    drive.send(.start)
    drive.send(.launchFailed(reason: "the program 'x' does not exist"))
    #expect(drive.state == .backoff)
    drive.sendTimer()
    drive.send(.launchFailed(reason: "the program 'x' does not exist"))
    #expect(drive.state == .fatal)
    #expect(drive.reason == "given up after 2 failed starts, the last one: the program 'x' does not exist")
    // Asked for by a person, it begins anew.
    drive.send(.start)
    #expect(drive.launches)
    drive.send(.launchFailed(reason: "the program 'x' does not exist"))
    #expect(drive.state == .backoff)
}

@Test func stoppingAsksThenKills() {
    var drive = Drive(.always, stopWait: .seconds(7))
    drive.run()
    drive.send(.stop(reason: "not wanted"))
    #expect(drive.reports == [.stopping])
    #expect(drive.signals == [SIGTERM])
    #expect(drive.timer?.duration == .seconds(7))
    drive.send(.stop(reason: "again"))
    #expect(drive.actions.isEmpty)
    drive.sendTimer()
    #expect(drive.signals == [SIGKILL])
    drive.send(.ended(.signaled(SIGKILL), lastErrorLine: nil))
    #expect(drive.state == .stopped)
    #expect(drive.reason == "asked to stop: not wanted; killed, as it had not ended after 7 s")
    #expect(drive.machine.status.signal == SIGKILL)
    #expect(drive.machine.isIdle)
}

@Test func stoppingDuringTheStart() {
    var drive = Drive(.always)
    drive.send(.start)
    drive.send(.stop(reason: "changed"))
    #expect(drive.reports == [.stopping])
    #expect(drive.signals.isEmpty)
    drive.send(.launched(pid: 42))
    #expect(drive.signals == [SIGTERM])
    drive.send(.ended(.exited(0), lastErrorLine: nil))
    #expect(drive.state == .stopped)

    drive.send(.start)
    drive.send(.stop(reason: "changed"))
    drive.send(.launchFailed(reason: "none"))
    #expect(drive.state == .stopped)
    #expect(drive.machine.isIdle)

    drive.send(.start)
    drive.send(.launched(pid: 42))
    drive.send(.stop(reason: "changed"))
    #expect(drive.signals == [SIGTERM])
}

@Test func stoppingDuringTheBackoff() {
    var drive = Drive(.always)
    drive.send(.start)
    drive.send(.launchFailed(reason: "none"))
    let timer = drive.timer!.timer
    drive.send(.stop(reason: "not wanted"))
    #expect(drive.state == .stopped)
    #expect(drive.reason == "asked to stop: not wanted")
    #expect(drive.machine.isIdle)
    drive.send(.timer(timer))
    #expect(drive.actions.isEmpty)
    #expect(drive.state == .stopped)
}

@Test func stoppingWhatHasEnded() {
    var drive = Drive(.unexpected)
    drive.send(.stop(reason: "not wanted"))
    #expect(drive.actions.isEmpty)
    drive.run()
    drive.send(.ended(.exited(0), lastErrorLine: nil))
    drive.send(.stop(reason: "not wanted"))
    #expect(drive.reports == [.stopped])
}

@Test func startIsForWhatIsNotUp() {
    var drive = Drive(.always)
    drive.run()
    drive.send(.start)
    #expect(drive.actions.isEmpty)
    // The first end is met with a start at once.
    drive.send(.ended(.exited(1), lastErrorLine: nil))
    drive.run()
    drive.send(.ended(.exited(1), lastErrorLine: nil))
    let timer = drive.timer!.timer
    // Waiting for the next start: now, then.
    drive.send(.start)
    #expect(drive.launches)
    drive.send(.timer(timer))
    #expect(drive.actions.isEmpty)
    drive.send(.launched(pid: 42))
    drive.send(.stop(reason: "x"))
    drive.send(.start)
    #expect(drive.actions.isEmpty)
    #expect(drive.state == .stopping)
}

@Test(arguments: [
    (Duration.seconds(1), "1 s"), (.milliseconds(1_500), "1.5 s"), (.milliseconds(240), "0.2 s"), (.zero, "0 s"),
    (.seconds(90), "90 s"),
])
func durationsForPeople(duration: Duration, text: String) {
    #expect(duration.inSeconds == text)
}

// MARK: Watches that take each other's place

private func resumed(
    _ memory: ProgramStateMachine.Memory?, _ fate: ProgramStateMachine.Fate, _ policy: RestartPolicy = .unexpected
) -> (machine: ProgramStateMachine, actions: [ProgramStateMachine.Action]) {
    var machine = ProgramStateMachine(
        ProgramSpecification(executable: "x", restart: policy), run: memory?.status.run ?? 0, at: 10_000_000)
    let actions = machine.resume(memory, fate, at: 10_000_000)
    return (machine, actions)
}

private func memory(
    _ state: ProgramState, pid: Int32? = nil, isWaiting: Bool = false, failedStarts: Int = 0
) -> ProgramStateMachine.Memory {
    ProgramStateMachine.Memory(
        status: ProgramStatus(state: state, reason: "because", pid: pid, since: 9_600_000, run: 7),
        isWaiting: isWaiting,
        failedStarts: failedStarts)
}

@Test func whatRunsIsTakenUpWithoutAWord() {
    var (machine, actions) = resumed(memory(.running, pid: 42), .alive(pid: 42))
    #expect(actions.isEmpty)
    #expect(machine.status.state == .running && machine.status.run == 7 && machine.status.pid == 42)
    let end = machine.handle(.ended(.exited(3), lastErrorLine: nil), at: 11_000_000)
    #expect(end.contains(.launch))
}

@Test func aStartThatIsTakenUpLastsAsLongAsItWould() {
    var (machine, actions) = resumed(memory(.starting, pid: 42), .alive(pid: 42))
    guard case .setTimer(let timer, let duration)? = actions.first else { return #expect(Bool(false)) }
    #expect(duration == .milliseconds(600))
    _ = machine.handle(.timer(timer), at: 10_600_000)
    #expect(machine.status.state == .running)
}

@Test func whatWasBeingStoppedIsStopped() {
    var (machine, actions) = resumed(memory(.stopping, pid: 42), .alive(pid: 42))
    #expect(actions.first == .signal(SIGTERM))
    _ = machine.handle(.ended(.signaled(SIGTERM), lastErrorLine: nil), at: 11_000_000)
    #expect(machine.status.state == .stopped && machine.isIdle)
    (machine, actions) = resumed(memory(.stopping, pid: 42), .ended(.signaled(SIGTERM), lastErrorLine: nil))
    #expect(machine.status.state == .stopped && machine.isIdle)
}

@Test func aStartThatNobodyToldOfCounts() {
    var (machine, actions) = resumed(memory(.backoff, isWaiting: true, failedStarts: 1), .alive(pid: 42))
    #expect(machine.status.state == .starting && machine.status.run == 8 && machine.status.pid == 42)
    #expect(!actions.contains(.launch))
    (machine, actions) = resumed(nil, .alive(pid: 42))
    #expect(machine.status.state == .starting && machine.status.run == 1)
    (machine, actions) = resumed(memory(.exited, isWaiting: true), .ended(.exited(0), lastErrorLine: nil))
    #expect(machine.status.run == 8 && machine.status.state == .exited && machine.isIdle)
}

@Test func anEndWithoutAWatchIsTheSameEnd() {
    let (machine, actions) = resumed(memory(.running, pid: 42), .ended(.signaled(SIGSEGV), lastErrorLine: "oh"))
    #expect(
        actions.first
            == .report(
                ProgramStatus(
                    state: .exited, reason: "killed by signal 11 (SIGSEGV): oh; started again at once",
                    since: 10_000_000, run: 7, signal: SIGSEGV)))
    #expect(actions.last == .launch && machine.status.run == 8)
    let (failed, _) = resumed(
        memory(.starting, pid: 42, failedStarts: 3), .ended(.exited(1), lastErrorLine: nil))
    #expect(failed.status.state == .fatal)
}

@Test func whatWaitsGoesOnWaitingAndWhatRestsRests() {
    var (machine, actions) = resumed(memory(.backoff, isWaiting: true, failedStarts: 2), .none)
    guard case .setTimer(let timer, _)? = actions.first else { return #expect(Bool(false)) }
    #expect(actions.count == 1)
    #expect(machine.handle(.timer(timer), at: 11_000_000).contains(.launch))
    #expect(machine.status.run == 8)
    (machine, actions) = resumed(memory(.fatal), .none)
    #expect(actions.isEmpty && machine.isIdle && machine.status.state == .fatal)
    (machine, actions) = resumed(memory(.starting), .none)
    #expect(machine.status.state == .backoff)
}

@Test func restartsAreCountedWhateverTheyAreFor() {
    var drive = Drive(
        RestartPolicy(.unexpected, startSeconds: .seconds(1), startRetries: nil, maximumRestarts: 2))
    drive.run()
    drive.send(.ended(.exited(1), lastErrorLine: nil))
    #expect(drive.launches, "the first at once")
    drive.send(.launched(pid: 43))
    drive.send(.ended(.exited(1), lastErrorLine: nil), after: 0)
    #expect(drive.state == .backoff)
    drive.sendTimer()
    drive.send(.launched(pid: 44))
    drive.sendTimer()
    drive.send(.ended(.exited(1), lastErrorLine: nil))
    #expect(drive.state == .fatal)
    #expect(drive.reason == "given up after 2 restarts: exit code 1")
    // Whoever starts it gives it as many again.
    drive.run()
    drive.send(.ended(.exited(1), lastErrorLine: nil))
    #expect(drive.launches)
}
