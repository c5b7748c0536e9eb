import Glibc
import HubModel

/// The rules by which a program is started, called running, started again and stopped. Events go in, actions come out;
/// processes and clocks are outside.
struct ProgramStateMachine {
    enum Event {
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
    struct Timer: Hashable {
        let number: Int
    }

    enum Action: Equatable {
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
    private var backoff: Backoff
    private(set) var status: ProgramStatus

    /// - Parameter run: the number of the last run before, for a program that was watched before.
    init(_ specification: ProgramSpecification, run: Int64 = 0, at time: Int64) {
        policy = specification.restart
        stopSignal = specification.stopSignal
        stopWait = specification.stopWait
        backoff = Backoff(first: policy.backoffFirst, cap: policy.backoffCap)
        status = ProgramStatus(state: .stopped, reason: "not started yet", since: time, run: run)
    }

    /// True while nothing will happen by itself.
    var isIdle: Bool {
        if case .idle = phase { true } else { false }
    }

    /// - Parameter time: microseconds since 1970.
    mutating func handle(_ event: Event, at time: Int64) -> [Action] {
        switch (event, phase) {
        case (.start, .idle), (.start, .waiting):
            failedStarts = 0
            backoff.reset()
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
        if Duration.microseconds(time - status.since) >= policy.backoffCap { backoff.reset() }
        return wait(as: .exited, reason, at: time)
    }

    private mutating func startFailed(_ reason: String, at time: Int64) -> [Action] {
        failedStarts += 1
        if policy.condition == .never { return rest(.fatal, reason, at: time) }
        if let retries = policy.startRetries, failedStarts > retries {
            return rest(.fatal, "given up after \(failedStarts) failed starts, the last one: \(reason)", at: time)
        }
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

    private mutating func makeTimer() -> Timer {
        timers += 1
        return Timer(number: timers)
    }
}
