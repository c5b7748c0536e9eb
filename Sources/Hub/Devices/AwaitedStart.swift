import HubModel
import SimdJSON

/// A start or stop that a requester waits for: the reply goes out when the device has done it, or after a while.
struct AwaitedStart {
    let node: Identifier
    let app: Identifier
    let instance: Identifier
    /// The number that the app's start or stop has.
    let number: Int64
    /// False for a stop.
    let isStart: Bool
    let deadline: Instant

    /// Less than clients wait for a reply.
    static let patience = Duration.seconds(15)

    init(_ app: DeviceApp, isStart: Bool) {
        node = app.node
        self.app = app.id
        instance = app.instance
        number = app.request
        self.isStart = isStart
        deadline = .now + Self.patience
    }

    enum Outcome: Equatable {
        case done
        /// It goes on; nobody should wait for it.
        case underway
        case failed
    }

    /// What has become of it.
    ///
    /// - Parameters:
    ///   - state: as the node has last said; nil where nothing was heard yet.
    ///   - isLatest: nobody has asked for something else meanwhile.
    /// - Returns: nil where it is still to be waited for.
    func outcome(
        _ state: ProgramState?, isReachable: Bool, isScheduled: Bool, isLatest: Bool, now: Instant
    ) -> Outcome? {
        guard isLatest else { return .underway }
        switch (state, isStart) {
        case (.running, true), (.exited, true): return .done
        case (.fatal, true), (.backoff, true): return .failed
        case (.stopped, false): return .done
        default: return !isReachable || (isStart && isScheduled) || now >= deadline ? .underway : nil
        }
    }
}

extension HubCore {
    /// The reply to who waits for a start or stop that is done, or takes long; nil where it is still to be waited for.
    func reply(to start: AwaitedStart, _ apps: [DeviceApp], _ now: Instant) throws -> Reply? {
        let app = apps.first { $0.instance == start.instance }
        let state = try app.map { try self.state(of: $0) }
        let isScheduled = (app?.package.rules.executionTime ?? 0) > microsecondsSince1970()
        // One that is gone has been deleted, or was to run once and has ended.
        let outcome =
            app == nil
            ? .done
            : start.outcome(
                state?.value, isReachable: onlineNodes.contains(start.node), isScheduled: isScheduled,
                isLatest: app?.request == start.number, now: now)
        guard let outcome else { return nil }
        var reply = Reply(["app_id": .string(start.app.text), "error": "", "instance": .string(start.instance.text)])
        switch outcome {
        case .done: break
        case .underway: reply.set("status", 202)
        case .failed:
            reply.set("status", .int(Refusal.Status.internalError.rawValue))
            reply.set("error", .string("app '\(start.app)' is \(state?.word ?? ""): \(state?.reason ?? "")"))
        }
        if let state { reply.set("process", .object(state.program)) }
        return reply
    }
}
