import HubModel
import SimdJSON

/// What a request may ask for.
struct Method: Sendable {
    /// What is kept of a request that has a name, so that it is carried out once when it comes twice.
    enum Record {
        /// It changes nothing, or nothing more the second time.
        case none
        /// Its reply, in the database, in one transaction with all that it does.
        case stored
        /// Its reply, in memory: where that holds a secret, or it is done by a node, which knows what comes again.
        case held
    }

    /// `service/method`, as in its topic.
    let name: String
    let record: Record
    let run: @Sendable (HubCore, Request) throws -> Reply

    init(_ name: String, _ record: Record = .none, _ run: @escaping @Sendable (HubCore, Request) throws -> Reply) {
        self.name = name
        self.record = record
        self.run = run
    }

    static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

    private static let all =
        [
            Method("hub/status") { try $0.hubStatus($1.parameters) },
            // Types are registered, and kept for a time, each in a transaction of its own: together with others they would
            // hold their tables for long, and ingest and they could wait for each other.
            Method("types/register") { try $0.registerTypes($1.parameters) },
            Method("types/list") { try $0.listTypes($1.parameters) },
            Method("types/show") { try $0.showType($1.parameters) },
            Method("types/retention") { try $0.setRetention($1.parameters) },
            Method("sensors/register", .stored) { try $0.registerSensors($1.parameters) },
            Method("sensors/list") { try $0.listSensors($1.parameters) },
            Method("sensors/show") { try $0.showSensor($1.parameters) },
            Method("sensors/remove", .stored) { try $0.removeSensor($1.parameters) },
            Method("sensors/credentials", .held) { try $0.sensorCredentials($1.parameters) },
            Method("apps/install", .stored) { try $0.installApp($1.parameters) },
            Method("apps/list") { try $0.listApps($1.parameters) },
            Method("apps/delete", .stored) { try $0.deleteApp($1.parameters) },
            Method("deployments/deploy", .stored) { try $0.deploy($1.parameters) },
            Method("programs/list") { try $0.listPrograms($1.parameters) },
            Method("programs/stop", .stored) { try $0.stopProgram($1.parameters) },
            Method("programs/start", .stored) { try $0.startProgram($1.parameters) },
            Method("programs/restart", .stored) { try $0.restartProgram($1.parameters) },
            Method("programs/signal", .held) { try $0.signalProgram($1) },
            Method("programs/send", .held) { try $0.sendInput($1) },
            Method("programs/enable", .stored) { try $0.enableProgram($1.parameters, true) },
            Method("programs/disable", .stored) { try $0.enableProgram($1.parameters, false) },
            Method("commands/run", .stored) { try $0.runCommand($1.parameters, for: $1.instance) },
            Method("commands/show") { try $0.showCommand($1.parameters) },
            Method("nodes/list") { try $0.listNodes($1.parameters) },
            Method("incidents/list") { try $0.listIncidents($1.parameters) },
            Method("incidents/show") { try $0.showIncident($1.parameters) },
            Method("events/list") { try $0.listEvents($1.parameters) },
            Method("logs/get") { try $0.getLog($1.parameters) },
            Method("readings/get") { try $0.getReadings($1.parameters) },
            Method("dead_letters/list") { try $0.listDeadLetters($1.parameters) },
            Method("dead_letters/replay", .stored) { try $0.replayDeadLetters($1.parameters) },
            Method("dead_letters/drop", .stored) { try $0.dropDeadLetters($1.parameters) },
        ]
        + DeviceService.allCases.map { service in
            Method("devices/\(service.rawValue)", service.changesDevice ? .stored : .none) {
                try $0.deviceRequest(service, $1)
            }
        }
}

extension HubCore {
    /// The method that a request names and its asker may use.
    func method(of request: Request) throws -> Method {
        let name = "\(request.service)/\(request.method)"
        if let instance = request.instance { try checkRight(of: instance, to: name, request.parameters) }
        guard let method = Method.byName[name] else {
            let hint = didYouMean(name, among: Method.byName.keys.sorted())
            throw Refusal(.notFound, "there is no request '\(name.prefix(80))'\(hint)")
        }
        return method
    }

    fileprivate func hubStatus(_ parameters: DocumentReader) throws -> Reply {
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
