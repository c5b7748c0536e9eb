import Glibc
import HubModel

/// The rules by which a program is started, called running, started again and stopped. Events go in, actions come out;
/// processes and clocks are outside.
package struct ProgramStateMachine {
    package enum Event {
        case start
        case stop(reason: String)
        /// The process asked for by `.launch` is there.
        case launched(pid: Int32)
        /// There will be none.
        case launchFailed(reason: String)
        /// The process is gone; nothing can be sent to it any more.
        case ended(ProgramEnding, lastErrorLine: String?)
        case timer(Timer)
    }

    /// Numbered, so that one that comes late is known for it.
    package struct Timer: Hashable, Sendable {
        let number: Int
    }

    package enum Action: Equatable {
        case launch
        /// To the whole process group.
        case signal(Int32)
        /// Replaces the timer before it.
        case setTimer(Timer, Duration)
        case report(ProgramStatus)
    }

    private enum Phase {
        /// STOPPED, EXITED or FATAL, and nothing happens until someone asks for it.
        case idle
        /// The process is being made.
        case launching
        /// As before, but it is to be stopped as soon as it is there.
        case launchingToStop
        /// The timer ends the start.
        case starting(Timer)
        case running
        /// The timer ends our patience.
        case stopping(Timer)
        /// The timer starts it again.
        case waiting(Timer, cause: String)
    }

    private let policy: RestartPolicy
    private let stopSignal: Int32
    private let stopWait: Duration
    private var phase = Phase.idle
    private var timers = 0
    private var failedStarts = 0
    /// Since it was asked for.
    private var restarts = 0
    private var backoff: Backoff
    /// Nothing has gone wrong lately: the next start need not wait.
    private var isCalm = true
    package private(set) var status: ProgramStatus

    /// - Parameter run: the number of the last run before, for a program that was watched before.
    package init(_ specification: ProgramSpecification, run: Int64 = 0, at time: Int64) {
        policy = specification.restart
        stopSignal = specification.stopSignal
        stopWait = specification.stopWait
        backoff = Backoff(first: policy.backoffFirst, cap: policy.backoffCap)
        status = ProgramStatus(state: .stopped, reason: "not started yet", since: time, run: run)
    }

    /// True while nothing will happen by itself.
    package var isIdle: Bool {
        if case .idle = phase { true } else { false }
    }

    /// - Parameter time: microseconds since 1970.
    package mutating func handle(_ event: Event, at time: Int64) -> [Action] {
        switch (event, phase) {
        case (.start, .idle), (.start, .waiting):
            failedStarts = 0
            restarts = 0
            calm()
            return launch("started", at: time)

        case (.launched(let pid), .launching):
            status.pid = pid
            let report = Action.report(status)
            guard policy.startSeconds > .zero else { return [report] + run("started", at: time) }
            let timer = makeTimer()
            phase = .starting(timer)
            return [report, .setTimer(timer, policy.startSeconds)]
        case (.launched(let pid), .launchingToStop):
            status.pid = pid
            return askToEnd()
        case (.launchFailed(let reason), .launching):
            return startFailed(reason, at: time)
        case (.launchFailed, .launchingToStop):
            return rest(.stopped, status.reason, at: time)

        case (.timer(let timer), .starting(let expected)) where timer == expected:
            return run("up for \(policy.startSeconds.inSeconds)", at: time)
        case (.timer(let timer), .waiting(let expected, let cause)) where timer == expected:
            return launch("started again after: \(cause)", at: time)
        case (.timer(let timer), .stopping(let expected)) where timer == expected:
            status.reason += "; killed, as it had not ended after \(stopWait.inSeconds)"
            return [.signal(SIGKILL)]

        case (.stop(let reason), .idle) where status.state != .stopped:
            return rest(.stopped, "asked to stop: \(reason)", at: time)
        case (.stop(let reason), .waiting):
            return rest(.stopped, "asked to stop: \(reason)", at: time)
        case (.stop(let reason), .launching):
            phase = .launchingToStop
            return change(to: .stopping, "asked to stop: \(reason)", at: time)
        case (.stop(let reason), .starting), (.stop(let reason), .running):
            return change(to: .stopping, "asked to stop: \(reason)", at: time) + askToEnd()

        case (.ended(let ending, let line), _):
            return ended(ending, line, at: time)

        // A timer that was replaced, a start of what is up or being stopped, a second stop.
        default:
            return []
        }
    }

    // MARK: A life before

    /// What another watch of the same program has to know to go on.
    package struct Memory: Sendable, Hashable {
        package var status: ProgramStatus
        /// It has no process, and was to be started again by itself.
        package var isWaiting: Bool
        package var failedStarts: Int
        /// The number of the last start that somebody asked for, see `WatchFolder.Order`.
        package var start: Int64

        package init(status: ProgramStatus, isWaiting: Bool, failedStarts: Int, start: Int64 = 0) {
            self.status = status
            self.isWaiting = isWaiting
            self.failedStarts = failedStarts
            self.start = start
        }
    }

    /// To be kept with a status that was just reported.
    package func memory(of status: ProgramStatus, start: Int64) -> Memory {
        let isWaiting =
            switch phase {
            case .waiting: true
            case .launching: !status.state.isAlive
            default: false
            }
        return Memory(status: status, isWaiting: isWaiting, failedStarts: failedStarts, start: start)
    }

    /// What became of the process while nobody watched.
    package enum Fate: Sendable, Hashable {
        /// There was none.
        case none
        case alive(pid: Int32)
        case ended(ProgramEnding, lastErrorLine: String?)
    }

    /// Goes on where an earlier watch was interrupted. To be called first.
    ///
    /// - Parameter memory: nil where nothing of an earlier watch is known.
    package mutating func resume(_ memory: Memory?, _ fate: Fate, at time: Int64) -> [Action] {
        if let memory {
            status = memory.status
            failedStarts = memory.failedStarts
            isCalm = failedStarts == 0 && status.state == .running
        }
        switch fate {
        case .none:
            if let memory, memory.isWaiting {
                let timer = makeTimer()
                phase = .waiting(timer, cause: status.reason)
                return [.setTimer(timer, backoff.next())]
            }
            // The process was to be made, and was not.
            return status.state.isAlive ? startFailed("its watch ended before there was a process", at: time) : []
        case .alive(let pid):
            return resume(pid, at: time)
        case .ended(let ending, let line):
            // A start that nobody could tell of.
            if status.pid == nil, !status.state.isAlive { status.run += 1 }
            phase =
                switch status.state {
                case .running: .running
                case .stopping: .stopping(makeTimer())
                default: .starting(makeTimer())
                }
            return ended(ending, line, at: time)
        }
    }

    private mutating func resume(_ pid: Int32, at time: Int64) -> [Action] {
        guard status.state.isAlive, status.pid == pid else {
            _ = launch("started", at: time)
            return handle(.launched(pid: pid), at: time)
        }
        switch status.state {
        case .running:
            phase = .running
            return []
        case .stopping:
            return askToEnd()
        default:
            let timer = makeTimer()
            phase = .starting(timer)
            let elapsed = Duration.microseconds(max(0, time - status.since))
            return [.setTimer(timer, max(.zero, policy.startSeconds - elapsed))]
        }
    }

    // MARK: Ends

    private mutating func ended(_ ending: ProgramEnding, _ lastErrorLine: String?, at time: Int64) -> [Action] {
        status.pid = nil
        status.exitCode = ending.exitCode
        status.signal = ending.signal
        if case .stopping = phase { return rest(.stopped, status.reason, at: time) }

        let isExpected = ending.isExpected(policy.exitCodes)
        let lastWords = isExpected ? nil : lastErrorLine
        if let code = ending.exitCode, policy.fatalExitCodes.contains(code) {
            return rest(.fatal, lastWords ?? "\(ending)", at: time)
        }
        let reason = lastWords.map { "\(ending): \($0)" } ?? "\(ending)"
        if case .running = phase { return runEnded(reason, isExpected: isExpected, at: time) }

        if isExpected, policy.condition != .always { return rest(.exited, reason, at: time) }
        return startFailed("exited before \(policy.startSeconds.inSeconds): \(reason)", at: time)
    }

    private mutating func runEnded(_ reason: String, isExpected: Bool, at time: Int64) -> [Action] {
        let isOver =
            switch policy.condition {
            case .never: true
            case .unexpected: isExpected
            case .always: false
            }
        if isOver { return rest(.exited, reason, at: time) }
        if Duration.microseconds(time - status.since) >= policy.backoffCap { calm() }
        if let end = countRestart(after: reason, at: time) { return end }
        guard isCalm else { return wait(as: .exited, reason, at: time) }
        isCalm = false
        return change(to: .exited, "\(reason); started again at once", at: time)
            + launch("started again after: \(reason)", at: time)
    }

    private mutating func startFailed(_ reason: String, at time: Int64) -> [Action] {
        failedStarts += 1
        isCalm = false
        if policy.condition == .never { return rest(.fatal, reason, at: time) }
        if let retries = policy.startRetries, failedStarts > retries {
            return rest(.fatal, "given up after \(failedStarts) failed starts, the last one: \(reason)", at: time)
        }
        if let end = countRestart(after: reason, at: time) { return end }
        return wait(as: .backoff, reason, at: time)
    }

    // MARK: Steps

    private mutating func launch(_ reason: String, at time: Int64) -> [Action] {
        phase = .launching
        status.run += 1
        status.exitCode = nil
        status.signal = nil
        // Reported when there is a process, a moment later, so that the report has its number.
        _ = change(to: .starting, reason, at: time)
        return [.launch]
    }

    private mutating func run(_ reason: String, at time: Int64) -> [Action] {
        phase = .running
        failedStarts = 0
        return change(to: .running, reason, at: time)
    }

    private mutating func askToEnd() -> [Action] {
        let timer = makeTimer()
        phase = .stopping(timer)
        return [.signal(stopSignal), .setTimer(timer, stopWait)]
    }

    /// - Returns: the end where it has been started again as often as it may be.
    private mutating func countRestart(after reason: String, at time: Int64) -> [Action]? {
        if let most = policy.maximumRestarts, restarts >= most {
            return rest(.fatal, "given up after \(most == 1 ? "1 restart" : "\(most) restarts"): \(reason)", at: time)
        }
        restarts += 1
        return nil
    }

    private mutating func wait(as state: ProgramState, _ reason: String, at time: Int64) -> [Action] {
        let timer = makeTimer()
        let duration = backoff.next()
        phase = .waiting(timer, cause: reason)
        return change(to: state, "\(reason); next start in \(duration.inSeconds)", at: time)
            + [.setTimer(timer, duration)]
    }

    private mutating func rest(_ state: ProgramState, _ reason: String, at time: Int64) -> [Action] {
        phase = .idle
        return change(to: state, reason, at: time)
    }

    private mutating func change(to state: ProgramState, _ reason: String, at time: Int64) -> [Action] {
        status.state = state
        status.reason = reason
        status.since = time
        return [.report(status)]
    }

    private mutating func calm() {
        backoff.reset()
        isCalm = true
    }

    private mutating func makeTimer() -> Timer {
        timers += 1
        return Timer(number: timers)
    }
}
