import Files
import HubModel
import MQTT
import SimdJSON
import Synchronization
import Watch

/// Tells on the device's own topics what becomes of its apps, and that the device is there; also while the hub is away.
/// What cannot be sent at once is not told later: the hub's record is for that.
final class DevicePublisher: Sendable {
    private struct App {
        var work: AppWork
        var run: DeviceAppRun
        /// The run that was told to have started and not to have stopped.
        var startedRun: Int64?
        /// The last one that was told to have stopped.
        var stoppedRun: Int64?
        /// It is in the plan.
        var isPlaced = true
    }

    private struct State {
        /// Nil until a plan has said it.
        var settings: DeviceSettings?
        var apps: [ProgramID: App] = [:]
        var isConnectionUntold = false
    }

    private let node: Identifier
    private let folders: AgentFolders
    private let state: Mutex<State>

    init(node: Identifier, folders: AgentFolders) {
        self.node = node
        self.folders = folders
        // As the last plan had it, so that a device that has just been started uses the right topics at once.
        let plan = (try? File.bytes(of: folders.plan, limit: Link.maximumPlanBytes)).flatMap { try? Plan(parsing: $0) }
        state = Mutex(State(settings: plan?.devices))
    }

    // MARK: The device

    /// A plan has come.
    ///
    /// - Returns: what is to be published now.
    func follow(_ plan: Plan) -> [OutgoingMessage] {
        state.withLock { state in
            if let settings = plan.devices { state.settings = settings }
            for program in state.apps.keys { state.apps[program]?.isPlaced = false }
            for planned in plan.programs {
                guard case .app(let work) = planned.work, let run = work.device else { continue }
                state.apps[planned.program] = App(
                    work: work, run: run, startedRun: state.apps[planned.program]?.startedRun,
                    stoppedRun: state.apps[planned.program]?.stoppedRun)
            }
            // The end of one that runs is still to be told.
            state.apps = state.apps.filter { $0.value.isPlaced || $0.value.startedRun != nil }
            return state.isConnectionUntold ? connected(&state) : []
        }
    }

    /// What is published with each connection.
    func connected() -> [OutgoingMessage] {
        state.withLock { connected(&$0) }
    }

    private func connected(_ state: inout State) -> [OutgoingMessage] {
        state.isConnectionUntold = state.settings == nil
        return message(.connected, state.settings, nil, ["timestamp": .int(milliseconds(microsecondsNow()))])
    }

    /// Publishes the heartbeat until the task is cancelled.
    func beat(_ link: Link) async {
        while !Task.isCancelled {
            let (seconds, messages) = state.withLock { state in
                let seconds = state.settings?.heartbeatSeconds ?? 0
                let beat: JSONObject = ["timestamp": .int(milliseconds(microsecondsNow()))]
                return (seconds, seconds > 0 ? message(.heartbeat, state.settings, nil, beat, .atMostOnce) : [])
            }
            for message in messages where link.isConnected { _ = try? link.publish(message) }
            // Without one, a plan may bring one.
            try? await Task.sleep(for: .seconds(seconds > 0 ? seconds : 5))
        }
    }

    // MARK: Its apps

    /// What is to be told of what was written to a program's journal.
    func messages(for entries: [JournalEntry], of program: ProgramID) -> [OutgoingMessage] {
        entries.flatMap { entry in
            switch entry.content {
            case .state(let memory): messages(for: ProgramReport(program: program, memory.status))
            case .line(let line, _): messages(for: [line], of: program)
            }
        }
    }

    func messages(for report: ProgramReport) -> [OutgoingMessage] {
        state.withLock { state in
            guard var app = state.apps[report.program] else { return [] }
            defer { state.apps[report.program] = app.isPlaced || app.startedRun != nil ? app : nil }
            var event: JSONObject = [
                "app_id": .string(app.work.app.text), "timestamp": .int(milliseconds(report.time)),
                "run": .int(report.run),
            ]
            if report.state.isAlive {
                guard let pid = report.pid, report.state != .stopping, app.startedRun != report.run else { return [] }
                app.startedRun = report.run
                event["pid"] = .int(Int64(pid))
                return announce(.started, app, state.settings)
                    + (app.run.publishes.events ? message(.appStarted, state.settings, app, event) : [])
            }
            // One that an earlier agent has told of is known by how it ended.
            let hasRun = app.startedRun != nil || report.exitCode != nil || report.signal != nil
            guard hasRun, app.stoppedRun != report.run else { return [] }
            app.startedRun = nil
            app.stoppedRun = report.run
            event["exit_code"] = report.exitCode.map { .int(Int64($0)) } ?? .null
            event["signal"] = report.signal.map { .int(Int64($0)) } ?? .null
            event["reason"] = .string(report.reason)
            return announce(.stopped, app, state.settings)
                + (app.run.publishes.events ? message(.appStopped, state.settings, app, event) : [])
        }
    }

    func messages(for lines: [OutputLine], of program: ProgramID) -> [OutgoingMessage] {
        state.withLock { state in
            guard let app = state.apps[program], app.run.publishes.logs else { return [] }
            return lines.flatMap { line in
                message(
                    .appLogs, state.settings, app,
                    ["timestamp": .int(milliseconds(line.time)), "log_msg": .string(line.text)], .atMostOnce)
            }
        }
    }

    func messages(for sample: StatisticsSample) -> [OutgoingMessage] {
        state.withLock { state in
            sample.programs.flatMap { figures -> [OutgoingMessage] in
                guard let app = state.apps[figures.program], app.run.publishes.statistics else { return [] }
                var object: JSONObject = [
                    "timestamp": .int(milliseconds(sample.time)), "app_id": .string(app.work.app.text),
                ]
                for member in figures.json.object ?? [:] where member.key != "program" && member.key != "id" {
                    object[member.key] = member.value
                }
                return message(.appStatistics, state.settings, app, object, .atMostOnce)
            }
        }
    }

    // MARK: Messages

    private func message(
        _ report: DeviceReport, _ settings: DeviceSettings?, _ app: App?, _ body: JSONObject,
        _ qos: OutgoingMessage.QoS = .atLeastOnce
    ) -> [OutgoingMessage] {
        guard let template = settings?.reports[report] else { return [] }
        var values = ["DEVICE_ID": node.text]
        if let app { values["APP_ID"] = app.work.app.text }
        return [OutgoingMessage(topic: template.filled(values), payload: JSON.object(body).bytes(), qos: qos)]
    }

    private func announce(
        _ occasion: DeviceSettings.Announcement.Occasion, _ app: App, _ settings: DeviceSettings?
    ) -> [OutgoingMessage] {
        let values = [
            "DEVICE_ID": node.text, "APP_ID": app.work.app.text, "APP_NAME": app.run.name,
            "UI_DIR": "\(folders.app(app.work.app, sha256: app.work.sha256))/ui",
        ]
        return (settings?.announcements ?? []).filter { $0.occasion == occasion }
            .map { OutgoingMessage(topic: $0.topic.filled(values), payload: $0.payload(values)) }
    }
}

private func milliseconds(_ microseconds: Int64) -> Int64 { microseconds / 1_000 }
