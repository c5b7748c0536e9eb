import Archive
import HubModel
import Postgres
import SimdJSON

extension HubCore {
    /// How an app is, as its node has last said.
    struct DeviceAppState {
        let value: ProgramState?
        let word: String
        let reason: String
        let program: JSONObject
        /// True from start_app to its end, also while it waits for its next start.
        let isUp: Bool
        /// True where there is nothing to stop.
        let isAtRest: Bool
    }

    func state(of app: DeviceApp) throws -> DeviceAppState {
        let row = try database.query(
            """
            SELECT p.state, p.reason, p.pid, p.run, (extract(epoch FROM p.since) * 1000)::bigint AS since,
                r.ended_at IS NOT NULL AND r.exit_code IS DISTINCT FROM 0 AS failed
            FROM hub.program p LEFT JOIN hub.run r USING (kind, id, node, run) WHERE p.kind = 'algorithm' AND p.id = $1
            """, .text(app.instance.text)
        ).first
        let state = row.flatMap { ProgramState(rawValue: $0.text("state")) }
        let waitsForNextStart =
            state == .exited && app.isWanted && app.package.rules.retry && row?.bool("failed") == true
        let isUp =
            switch state {
            case .running, .stopping, .backoff: true
            case .exited: waitsForNextStart
            // One that was just installed is getting ready.
            case nil, .unknown, .starting, .waiting: app.isWanted
            case .stopped, .fatal: false
            }
        let word = (state ?? (app.isWanted ? .waiting : .stopped)).rawValue
        let isAtRest =
            switch state {
            case .exited: !waitsForNextStart
            // One that was given up is stopped so that nobody need look after it any more.
            case nil, .stopped, .unknown, .fatal: !app.isWanted
            case .starting, .running, .stopping, .waiting, .backoff: false
            }
        let reason = row?.text("reason") ?? "nothing was heard of it yet"
        return DeviceAppState(
            value: state, word: word, reason: reason,
            program: [
                "instance": .string(app.instance.text), "state": .string(word),
                "reason": .string(reason),
                "pid": row?.optional("pid").flatMap { Int64($0) }.map { .int($0) } ?? .null,
                "runs": .int(row?.int("run") ?? 0), "since": row.map { .int($0.int("since")) } ?? .null,
            ], isUp: isUp, isAtRest: isAtRest)
    }

    func record(of app: DeviceApp) throws -> JSON {
        let state = try state(of: app)
        return [
            "name": .string(app.id.text), "type": .string(app.package.type.text), "state": state.isUp ? 1 : 0,
            "process": .object(state.program), "created_at": .int(app.createdAt), "updated_at": .int(app.updatedAt),
            "info": .object(app.package.info), "init_params": app.package.parameters.json,
            "scheduling": app.package.rules.json, "app_args": app.arguments.json,
            "ui": .bool(!app.package.page.isEmpty), "version": .string(instances[app.instance]?.sha256 ?? ""),
        ]
    }

    /// `app_page`: a file of the app's page.
    func page(_ parameters: DocumentReader, on node: Identifier) throws -> Reply {
        try parameters.allowOnly(["node", "app_id", "file"])
        let app = try requiredDeviceApp(parameters, on: node)
        guard !app.package.page.isEmpty else {
            throw Refusal(.notFound, "app '\(app.id)' has no page: its archive has no folder \(AppPackage.pageFolder)")
        }
        let name = AppPackage.pageFolder + (try parameters.optional("file")?.string() ?? "index.html")
        guard app.package.page.contains(name), let instance = instances[app.instance],
            let row = try database.query(
                "SELECT archive FROM hub.app_version WHERE app_id = $1 AND sha256 = $2", .text(app.id.text),
                .text(instance.sha256)
            ).first
        else {
            throw Refusal(
                .notFound,
                "app '\(app.id)' has no file '\(name.prefix(200))'\(didYouMean(name, among: app.package.page))")
        }
        let content = try Archive(row.bytes("archive")).read(keeping: [name]).contents[name] ?? []
        return Reply([
            "app_id": .string(app.id.text), "error": "", "file": .string(name),
            "files": .array(app.package.page.map { .string($0) }), "data": .string(Base64.encode(content)),
        ])
    }
}
