import HubModel
import MQTT
import Postgres
import SimdJSON

extension HubCore {
    /// An entry of a deployment that is valid as such; whether there are sensors for it shows when it is bound.
    private struct CheckedEntry {
        let key: String
        let entry: DeploymentEntry
        let app: AppManifest
        let sha256: String
        let script: String
        let positions: [PositionQuery]
        let outputs: [OutputPosition]
    }

    /// `deployments/deploy`: the document is validated as a whole, then its entries are carried out one by one.
    func deploy(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly(["document", "dry_run"])
        let isDryRun = try parameters.optional("dry_run")?.bool() ?? false
        let document = DocumentReader(try parameters.required("document").value)
        var results: [JSONObject] = []
        var checked: [CheckedEntry] = []
        for (key, reader) in try DeploymentEntry.documents(in: document) {
            do {
                checked.append(try check(reader, key: key, after: checked))
                results.append(["entry": .string(key), "status_code": 200, "status": "valid"])
            } catch {
                results.append(try entryResult(key, refusedBy: error))
            }
        }
        guard checked.count == results.count else {
            for index in results.indices where results[index]["status"] == "valid" {
                results[index]["status_code"] = 409
                results[index]["status"] = "not deployed"
                results[index]["error"] = "another entry of this deployment is wrong"
            }
            return deploymentReply(results)
        }
        return deploymentReply(
            try checked.map { entry in
                do {
                    return try isDryRun ? tryOut(entry) : carryOut(entry)
                } catch {
                    return try entryResult(entry.key, refusedBy: error)
                }
            })
    }

    private func deploymentReply(_ entries: [JSONObject]) -> Reply {
        let refused = entries.filter { ($0["status_code"]?.int ?? 200) >= 300 }
        var reply = Reply()
        if let first = refused.first {
            let cause = refused.first { $0["status"] != "not deployed" } ?? first
            reply.set("status", cause["status_code"] ?? 400)
            reply.set("error", cause["error"] ?? "refused")
        }
        reply.set("entries", .array(entries.map { .object($0) }))
        return reply
    }

    private func entryResult(_ key: String, refusedBy error: any Error) throws -> JSONObject {
        if isTransient(error) { throw error }
        let refusal = Refusal(error)
        try record("deployment.refused", key, ["reason": .string(refusal.reason)])
        return [
            "entry": .string(key), "status_code": .int(refusal.status.rawValue), "status": "refused",
            "error": .string(refusal.reason),
        ]
    }

    private func check(_ reader: DocumentReader, key: String, after earlier: [CheckedEntry]) throws -> CheckedEntry {
        let entry = try DeploymentEntry(reader)
        let (app, sha256) = try requiredApp(reader.required("application_id"))
        guard let algorithm = app.algorithm(entry.algorithm.text) else {
            let names = app.algorithms.map(\.name.text)
            throw try reader.required("algorithm_name").error(
                "app '\(app.id)' has no algorithm '\(entry.algorithm)', but \(names.joined(separator: ", "))"
                    + didYouMean(entry.algorithm.text, among: names))
        }
        let positions = entry.positions ?? algorithm.inputSensors.map { PositionQuery(sensorType: $0) }
        try check(positions, against: algorithm, reader)
        try check(runtime: entry, reader)
        let outputs = try checkedOutputs(
            entry.outputs, against: algorithm, reader, after: earlier.map { ($0.key, $0.outputs) })
        return CheckedEntry(
            key: key, entry: entry, app: app, sha256: sha256, script: algorithm.script, positions: positions,
            outputs: outputs)
    }

    private func check(runtime entry: DeploymentEntry, _ reader: DocumentReader) throws(ValidationError) {
        guard let runtime = configuration.runtimes[entry.runtime] else {
            let known = (configuration.runtimes.keys.map(\.text) + ["python"]).sorted()
            let place = try reader.optional("environment")?.optional("lang") ?? reader
            throw place.error(
                "'\(entry.runtime)' is not known: one of \(known.joined(separator: ", "))"
                    + didYouMean(entry.runtime.text, among: known))
        }
        if !runtime.usesPython, !entry.requirements.isEmpty {
            throw reader.error("environment.dependencies are for lang python, not for '\(runtime.name)'")
        }
    }

    /// The algorithm counts on the types of its `input_sensors`, in their order.
    private func check(
        _ positions: [PositionQuery], against algorithm: AppManifest.Algorithm, _ reader: DocumentReader
    ) throws {
        let info = try reader.optional("sensor_info") ?? reader
        guard positions.count == algorithm.inputSensors.count else {
            throw info.error(
                "algorithm '\(algorithm.name)' has \(algorithm.inputSensors.count) input sensors, but \(positions.count) are given"
            )
        }
        for (index, (position, wanted)) in zip(positions, algorithm.inputSensors).enumerated() {
            let path = "\(info.path)[\(index)].sensor_type"
            guard position.sensorType == wanted else {
                throw ValidationError(
                    path: path, "is '\(position.sensorType)', but algorithm '\(algorithm.name)' has '\(wanted)' there")
            }
            guard registry.types[position.sensorType] != nil else {
                throw ValidationError(
                    path: path, "'\(wanted)' is not registered\(didYouMean(wanted.text, among: registry.typeNames))")
            }
        }
    }

    private func bind(_ entry: CheckedEntry) throws -> [[Identifier]] {
        let candidates = candidates(besides: entry.outputs)
        let binding = Binder.bind(entry.positions, to: candidates)
        if let shortage = Binder.shortage(of: entry.positions, in: binding, among: candidates) {
            throw Refusal(.conflict, "entry \"\(entry.key)\": \(shortage)")
        }
        return binding
    }

    private func tryOut(_ entry: CheckedEntry) throws -> JSONObject {
        result(of: entry, "would be deployed", instance: nil, binding: try bind(entry))
    }

    /// Binds and launches.
    private func carryOut(_ entry: CheckedEntry) throws -> JSONObject {
        let binding = try bind(entry)
        let instance = AlgorithmInstance(
            id: try freeInstanceID(app: entry.app.id, algorithm: entry.entry.algorithm), app: entry.app.id,
            sha256: entry.sha256, algorithm: entry.entry.algorithm, script: entry.script,
            runtime: entry.entry.runtime,
            requirements: entry.app.requirements
                + entry.entry.requirements.filter { !entry.app.requirements.contains($0) },
            conditions: entry.entry.conditions, positions: entry.positions,
            outputs: entry.outputs, mayRunCommands: entry.entry.mayRunCommands, node: nil, binding: binding,
            boundOutputs: entry.outputs.map(\.sensor), bindingVersion: 1, bindingReason: "deployed")
        try database.transaction {
            try instance.store(sensorIDs: registry.sensors.mapValues(\.id), in: database)
            if !instance.conditions.supervision.autostart {
                try ProgramWish.set(ProgramID(.algorithm, instance.id), isEnabled: false, in: database)
            }
            var detail: JSONObject = [
                "app": .string(instance.app.text), "algorithm": .string(instance.algorithm.text),
                "sensors": bindingJSON(binding),
            ]
            if !instance.outputs.isEmpty { detail["outputs"] = outputsJSON(instance.boundOutputs) }
            try record("instance.deployed", instance.id.text, detail)
        }
        instances[instance.id] = instance
        publish(bindingMessage(of: instance))
        changeRights()
        try placeWaiting()
        return result(of: entry, "deployed", instance: instance.id, binding: binding)
    }

    private func result(
        of entry: CheckedEntry, _ status: String, instance: Identifier?, binding: [[Identifier]]
    ) -> JSONObject {
        let positions = zip(entry.positions, binding).enumerated().map { index, bound -> JSON in
            [
                "index": .int(Int64(index)), "sensor_type": .string(bound.0.sensorType.text),
                "sensors": .array(bound.1.map { .string($0.text) }),
            ]
        }
        return [
            "entry": .string(entry.key), "status_code": 200, "status": .string(status), "instance_id": .text(instance),
            "app": .string(entry.app.id.text), "algorithm": .string(entry.entry.algorithm.text),
            "positions": .array(positions),
            "outputs": .array(
                entry.outputs.enumerated().map { index, output in
                    [
                        "index": .int(Int64(index)), "sensor_type": .string(output.sensorType.text),
                        "sensor": .string(output.sensor.text),
                    ]
                }),
        ]
    }

    /// `{app}-{algorithm}-{number}`, a number that no instance ever had.
    func freeInstanceID(app: Identifier, algorithm: Identifier) throws -> Identifier {
        let base = "\(app)-\(algorithm)".prefix(56)
        let rows = try database.query(
            "SELECT id FROM hub.algorithm_instance WHERE starts_with(id, $1)", .text("\(base)-"))
        let used = rows.compactMap { Int($0.text("id").dropFirst(base.count + 1)) }.max() ?? 0
        return Identifier("\(base)-\(used + 1)")!
    }

    /// `programs/stop`: ends an algorithm instance for good, or a command. The instance's rights are gone at once.
    func stopProgram(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly(["id", "kind"])
        let id = try parameters.required("id").string()
        let kind = try programKind(parameters)
        let command = kind ?? .command == .command ? Identifier(id).flatMap { commands[$0] } : nil
        let instance = kind ?? .algorithm == .algorithm ? Identifier(id).flatMap { instances[$0] } : nil
        if instance != nil, command != nil {
            throw Refusal(.conflict, "'\(id)' is an algorithm instance as well as a command: say which as the kind")
        }
        if let command {
            try stopCommands { $0.id == command.id }
            return Reply(["kind": "command"])
        }
        guard let instance else {
            if registry.sensor(named: id)?.driver != nil {
                throw Refusal(
                    .conflict,
                    "'\(id)' is a driver, which runs as long as its sensor is registered: "
                        + "sensorhub sensors remove \(id), or sensorhub disable \(id)")
            }
            let hint = didYouMean(id, among: instances.keys.map(\.text) + commands.keys.map(\.text))
            throw Refusal(.notFound, "no algorithm instance or command '\(id.prefix(80))' runs\(hint)")
        }
        if try database.query("SELECT FROM hub.device_app WHERE instance_id = $1", .text(id)).first != nil {
            throw Refusal(
                .conflict,
                "'\(id)' is an app of device '\(instance.node?.text ?? "")': "
                    + "sensorhub apps stop \(instance.app) --node \(instance.node?.text ?? "")")
        }
        try database.transaction {
            try endInstance(instance.id)
            try record("instance.stopped", instance.id.text)
        }
        try stopCommands { $0.instance == instance.id }
        tellOutputStatus(of: instance, isOnline: false, "algorithm instance '\(instance.id)' was stopped")
        forgetInstance(instance.id, on: instance.node)
        return Reply(["kind": "algorithm"])
    }

    /// Takes an instance and its rights from the database. In a transaction of the caller.
    func endInstance(_ id: Identifier) throws(PostgresError) {
        try database.query("UPDATE hub.algorithm_instance SET stopped_at = now() WHERE id = $1", .text(id.text))
        try database.query(
            "UPDATE hub.binding SET until = now(), until_reason = 'stopped' WHERE instance_id = $1 AND until IS NULL",
            .text(id.text))
        try BrokerAccess.revoke(.algorithm(id), in: database)
        try ProgramWish.forget(ProgramID(.algorithm, id), in: database)
    }

    /// An instance has ended for good.
    func forgetInstance(_ id: Identifier, on node: Identifier?) {
        instances[id] = nil
        publish(OutgoingMessage(topic: topics.algorithm(id.text, .binding), payload: [], isRetained: true))
        changeRights()
        changePlan(of: node)
    }
}
