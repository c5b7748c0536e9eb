import HubModel
import SimdJSON

extension HubCore {
    /// Finds the method that a request names and runs it.
    func route(_ request: Request) throws -> Reply {
        let parameters = request.parameters
        switch (request.service, request.method) {
        case ("hub", "status"): return try hubStatus(parameters)
        case ("types", "register"): return try registerTypes(parameters)
        case ("types", "list"): return try listTypes(parameters)
        case ("types", "show"): return try showType(parameters)
        case ("types", "retention"): return try setRetention(parameters)
        case ("sensors", "register"): return try registerSensors(parameters)
        case ("sensors", "list"): return try listSensors(parameters)
        case ("sensors", "show"): return try showSensor(parameters)
        case ("sensors", "remove"): return try removeSensor(parameters)
        case ("sensors", "credentials"): return try sensorCredentials(parameters)
        case ("apps", "install"): return try installApp(parameters)
        case ("apps", "list"): return try listApps(parameters)
        case ("apps", "delete"): return try deleteApp(parameters)
        case ("devices", _): return try deviceRequest(request)
        case ("deployments", "deploy"): return try deploy(parameters)
        case ("programs", "list"): return try listPrograms(parameters)
        case ("programs", "stop"): return try stopProgram(parameters)
        case ("programs", "start"): return try startProgram(parameters)
        case ("programs", "restart"): return try restartProgram(parameters)
        case ("programs", "signal"): return try signalProgram(parameters)
        case ("programs", "send"): return try sendInput(parameters)
        case ("programs", "enable"): return try enableProgram(parameters, true)
        case ("programs", "disable"): return try enableProgram(parameters, false)
        case ("commands", "run"): return try runCommand(parameters, for: nil)
        case ("commands", "show"): return try showCommand(parameters)
        case ("nodes", "list"): return try listNodes(parameters)
        case ("incidents", "list"): return try listIncidents(parameters)
        case ("incidents", "show"): return try showIncident(parameters)
        case ("events", "list"): return try listEvents(parameters)
        case ("logs", "get"): return try getLog(parameters)
        case ("readings", "get"): return try getReadings(parameters)
        case ("dead_letters", "list"): return try listDeadLetters(parameters)
        case ("dead_letters", "replay"): return try replayDeadLetters(parameters)
        case ("dead_letters", "drop"): return try dropDeadLetters(parameters)
        default:
            let known = [
                "hub/status", "types/register", "types/list", "types/show", "types/retention", "sensors/register",
                "sensors/list",
                "sensors/show", "sensors/remove", "sensors/credentials", "apps/install", "apps/list", "apps/delete",
                "deployments/deploy", "programs/list", "programs/stop", "programs/start",
                "programs/restart", "programs/signal", "programs/send", "programs/enable", "programs/disable",
                "commands/run", "commands/show", "nodes/list",
                "incidents/list", "incidents/show", "events/list", "logs/get", "readings/get",
                "devices/install_app", "devices/start_app", "devices/stop_app", "devices/delete_app", "devices/apps",
                "devices/apps.running", "devices/is_alive", "devices/fast_deploy", "devices/app_page",
                "dead_letters/list", "dead_letters/replay", "dead_letters/drop",
            ]
            let name = "\(request.service)/\(request.method)"
            throw Refusal(.notFound, "there is no request '\(name.prefix(80))'\(didYouMean(name, among: known))")
        }
    }

    private func hubStatus(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly([])
        let counts = try database.query(
            """
            SELECT (SELECT count(*) FROM hub.sensor_type) AS types,
                   (SELECT count(*) FROM hub.sensor WHERE removed_at IS NULL) AS sensors,
                   (SELECT count(*) FROM hub.app) AS apps,
                   (SELECT count(*) FROM hub.algorithm_instance WHERE stopped_at IS NULL) AS instances,
                   (SELECT coalesce(sum(readings), 0) FROM hub.sensor_type) AS readings,
                   (SELECT count(*) FROM hub.dead_letter) AS dead_letters
            """)[0]
        let names = ["types", "sensors", "apps", "instances", "readings", "dead_letters"]
        let nodes = try database.query("SELECT name, status FROM hub.node ORDER BY name")
        return Reply([
            "hub": .string(configuration.hub.text), "version": .string(sensorhubVersion),
            "started_at": .int(startedAt), "database": .string("PostgreSQL \(database.serverVersion)"),
            "nodes": .array(nodes.map { ["node": .string($0.text("name")), "status": .string($0.text("status"))] }),
            "counts": .object(JSONObject(names.map { ($0, .int(counts.int($0))) })),
        ])
    }
}
