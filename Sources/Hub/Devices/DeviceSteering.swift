import HubModel
import Postgres
import SimdJSON

extension HubCore {
    func start(_ app: DeviceApp, _ arguments: AppArguments) throws -> Reply {
        let state = try state(of: app)
        guard !state.isUp else {
            throw Refusal(.conflict, "app '\(app.id)' is already running: it is \(state.word) (\(state.reason))")
        }
        guard try ProgramWish.all(in: database)[ProgramID(.algorithm, app.instance)]?.isEnabled ?? true else {
            throw Refusal(.conflict, "app '\(app.id)' is disabled: sensorhub enable \(app.instance)")
        }
        _ = try app.package.parameters.values(arguments.parameters, path: "app_args")
        var app = app
        app.arguments = arguments
        return try ask(app, toRun: true)
    }

    func stop(_ app: DeviceApp) throws -> Reply {
        let state = try state(of: app)
        guard !state.isAtRest else { throw Refusal(.conflict, "app '\(app.id)' is not running: it is \(state.word)") }
        return try ask(app, toRun: false)
    }

    func ask(_ app: DeviceApp, toRun: Bool) throws -> Reply {
        var app = app
        app.request += 1
        app.isWanted = toRun
        try database.transaction {
            try app.store(in: database)
            if toRun, onlineNodes.contains(app.node) {
                // What it ended by the last time is no news any more.
                try database.query(
                    """
                    UPDATE hub.program SET state = 'STARTING', reason = 'start_app was asked for', since = now()
                    WHERE kind = 'algorithm' AND id = $1
                    """, .text(app.instance.text))
            }
            try record(toRun ? "app.started" : "app.stopped", app.id.text, ["node": .string(app.node.text)])
        }
        changePlan(of: app.node)
        // Of one who does not wait.
        var reply = Reply([
            "status": 202, "app_id": .string(app.id.text), "error": "", "instance": .string(app.instance.text),
        ])
        reply.awaited = .start(AwaitedStart(app, isStart: toRun))
        return reply
    }

    /// Takes an app from its device; what it did stays on record.
    func delete(_ app: DeviceApp, _ reason: String) throws {
        try database.transaction {
            try database.query(
                "DELETE FROM hub.device_app WHERE node = $1 AND app_id = $2", .text(app.node.text), .text(app.id.text))
            try endInstance(app.instance)
            try forgetArchives(of: app.id)
            try record("app.deleted", app.id.text, ["node": .string(app.node.text), "reason": .string(reason)])
        }
        forgetInstance(app.instance, on: app.node)
    }

    /// Archives that nothing can be started from any more. The versions stay on record.
    func forgetArchives(of app: Identifier) throws(PostgresError) {
        try database.query(
            """
            UPDATE hub.app_version v SET archive = '' WHERE app_id = $1 AND manifest = '{}'
                AND NOT EXISTS (SELECT FROM hub.app a WHERE a.id = v.app_id AND a.sha256 = v.sha256)
                AND NOT EXISTS (SELECT FROM hub.algorithm_instance i
                                WHERE i.app_id = v.app_id AND i.sha256 = v.sha256 AND i.stopped_at IS NULL)
            """, .text(app.text))
    }

    /// A node has told of a program: removes an app that was to run once, when it has ended.
    func removePassing(_ report: ProgramReport, on node: Identifier) throws {
        guard report.program.kind == .algorithm, [.exited, .fatal, .stopped].contains(report.state),
            let app = try DeviceApp.all(on: node, in: database).first(where: { $0.instance == report.program.id }),
            app.isPassing, report.run > 0 || report.state == .fatal
        else { return }
        // It is started again by itself.
        if report.state == .exited, app.package.rules.retry, report.exitCode != 0 { return }
        try delete(app, "fast_deploy: it has ended: \(report.reason)")
    }
}
