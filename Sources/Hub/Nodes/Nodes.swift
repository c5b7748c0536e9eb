import HubModel
import MQTT
import Postgres
import SimdJSON

extension HubCore {
    /// An agent's birth or last will.
    func handleStatus(_ message: Message, of node: Identifier) throws {
        guard !message.payload.isEmpty else { return }
        let reader = DocumentReader(try JSON(parsing: message.payload))
        let status = try reader.required("status")
        let isOnline = try status.string() == "online"
        guard try isOnline || status.string() == "offline" else {
            throw status.error("is neither 'online' nor 'offline'")
        }
        let version = try reader.optional("version")?.string() ?? ""
        let takesCommands = try reader.optional("commands")?.bool() ?? false
        try database.transaction {
            try database.query(
                """
                INSERT INTO hub.node AS n (name, status, version) VALUES ($1, $2, $3)
                ON CONFLICT (name) DO UPDATE SET status = EXCLUDED.status, version = EXCLUDED.version, since = now()
                """, .text(node.text), .text(isOnline ? "online" : "offline"), .text(String(version.prefix(64))))
            if !isOnline {
                // Nobody knows whether they still run.
                try database.query(
                    "UPDATE hub.program SET state = 'UNKNOWN', since = now(), reason = 'the node is offline' WHERE node = $1",
                    .text(node.text))
            }
            if isOnline != onlineNodes.contains(node) {
                try record(isOnline ? "node.online" : "node.offline", node.text)
            }
        }
        if isOnline, takesCommands { commandNodes.insert(node) } else { commandNodes.remove(node) }
        if isOnline {
            onlineNodes.insert(node)
            try placeWaiting()
        } else {
            if onlineNodes.remove(node) != nil {
                let topic = configuration.devices.reports[.disconnected]!.filled(["DEVICE_ID": node.text])
                publish(OutgoingMessage(topic: topic, payload: Array("{}".utf8)))
            }
            for instance in instances.values where instance.node == node {
                tellOutputStatus(of: instance, .unknown, "node '\(node)' is offline")
            }
        }
    }

    /// Gives every driver and algorithm that has no node yet one that is online: the one that was asked for, or the one
    /// with the fewest programs.
    func placeWaiting() throws {
        guard !onlineNodes.isEmpty else { return }
        var load: [Identifier: Int] = [:]
        for node in onlineNodes { load[node] = 0 }
        for sensor in registry.sensors.values { if let node = sensor.node { load[node]? += 1 } }
        for instance in instances.values { if let node = instance.node { load[node]? += 1 } }
        func leastLoaded() -> Identifier { load.min { ($0.value, $0.key.text) < ($1.value, $1.key.text) }!.key }

        let waiting = registry.sensors.values.filter { $0.driver != nil && $0.node == nil }
        for sensor in waiting.sorted(by: { $0.id < $1.id }) {
            guard let node = sensor.wantedNode ?? leastLoaded() as Identifier?, onlineNodes.contains(node) else {
                continue
            }
            try database.query("UPDATE hub.sensor SET node = $2 WHERE id = $1", .int(sensor.id), .text(node.text))
            registry.place(sensor.name, on: node)
            load[node]! += 1
            changePlan(of: node)
            changeRights()
        }
        for instance in instances.values.sorted(by: { $0.id.text < $1.id.text }) where instance.node == nil {
            let node = leastLoaded()
            try database.query(
                "UPDATE hub.algorithm_instance SET node = $2 WHERE id = $1", .text(instance.id.text), .text(node.text))
            instances[instance.id]?.node = node
            try record("instance.placed", instance.id.text, ["node": .string(node.text)])
            load[node]! += 1
            changePlan(of: node)
            changeRights()
        }
    }

    /// All that a node is to run.
    func plan(for node: Identifier) throws -> OutgoingMessage {
        var hashes: [String: String] = [:]
        for row in try database.query("SELECT name, hash FROM hub.broker_user") {
            hashes[row.text("name")] = row.text("hash")
        }
        let wishes = try ProgramWish.all(in: database)
        var programs: [PlannedProgram] = []
        for sensor in registry.sensors.values where sensor.node == node {
            guard let driver = sensor.driver, let type = registry.types[sensor.type]?.type else { continue }
            let program = ProgramID(.driver, sensor.name)
            let wish = wishes[program] ?? ProgramWish()
            programs.append(
                PlannedProgram(
                    program: program, credential: program.user.flatMap { hashes[$0.description] },
                    work: .driver(name: driver, type: type, instance: sensor.instance), isEnabled: wish.isEnabled,
                    generation: wish.generation))
        }
        let apps = try DeviceApp.all(on: node, in: database)
        let appsByInstance = Dictionary(apps.map { ($0.instance, $0) }, uniquingKeysWith: { first, _ in first })
        var refused: [JSON] = []
        for instance in instances.values where instance.node == node {
            let program = ProgramID(.algorithm, instance.id)
            guard let runtime = configuration.runtimes[instance.runtime] else {
                refused.append([
                    "id": .string(instance.id.text), "program": .string(program.kind.rawValue),
                    "error": .string("the runtime '\(instance.runtime)' is not declared at the hub any more"),
                ])
                continue
            }
            let wish = wishes[program] ?? ProgramWish()
            let app = appsByInstance[instance.id]
            programs.append(
                PlannedProgram(
                    program: program, credential: program.user.flatMap { hashes[$0.description] },
                    work: .app(
                        AppWork(
                            app: instance.app, sha256: instance.sha256, script: instance.script, runtime: runtime,
                            requirements: instance.requirements,
                            arguments: app.map(\.arguments.words) ?? [instance.id.text],
                            device: app?.run(configuration.devices))),
                    isEnabled: wish.isEnabled, generation: wish.generation, conditions: instance.conditions))
        }
        for command in commands.values where command.node == node {
            programs.append(
                PlannedProgram(program: command.program, credential: nil, work: .command(command.specification)))
        }
        programs.sort { "\($0.program)" < "\($1.program)" }
        let command: JSON = [
            "kind": "plan", "programs": .array(programs.map(\.json) + refused), "devices": configuration.devices.json,
        ]
        return OutgoingMessage(topic: topics.node(node.text, .command), payload: command.bytes())
    }
}
