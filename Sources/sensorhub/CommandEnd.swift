import HubModel
import SimdJSON

/// How a command ended.
struct CommandEnd {
    let state: ProgramState
    let reason: String
    let exitCode: Int32?
    let signal: Int32?

    init?(_ report: ProgramReport) {
        // How it ended may be known to the hub only.
        guard !report.state.isAlive, report.exitCode != nil || report.signal != nil || report.state == .fatal else {
            return nil
        }
        (state, reason, exitCode, signal) = (report.state, report.reason, report.exitCode, report.signal)
    }

    /// Of the hub's reply to `commands/show`.
    init?(_ command: JSON) {
        guard command["ended_at"]?.int != nil else { return nil }
        state = ProgramState(rawValue: command.plain("state")) ?? .unknown
        reason = command.plain("reason")
        exitCode = command["exit_code"]?.int.map { Int32(clamping: $0) }
        signal = command["signal"]?.int.map { Int32(clamping: $0) }
    }

    /// As a shell has it.
    func exitCode(of program: String) -> Int32 {
        if let exitCode { return exitCode }
        if let signal { return 128 + signal }
        return state == .fatal ? LaunchFailure.exitCode(reason, of: program) : 1
    }
}
