import HubModel
import MQTT
import SimdJSON

extension HubCore {
    /// Looks again at the instances that have a position of one of `types`, after such sensors came or went. What runs
    /// goes on running and gets a new binding document; a position that is short is recorded.
    func rebind(_ types: Set<Identifier>, because reason: String) throws {
        let affected = instances.values.filter { instance in
            instance.positions.contains { types.contains($0.sensorType) }
                || instance.outputs.contains { types.contains($0.sensorType) }
        }
        for var instance in affected.sorted(by: { $0.id.text < $1.id.text }) {
            let candidates = candidates(besides: instance.outputs)
            let binding = Binder.bind(instance.positions, to: candidates, current: instance.binding)
            let outputs = bindOutputs(instance.outputs)
            guard binding != instance.binding || outputs != instance.boundOutputs else { continue }
            let areOutputsNew = outputs != instance.boundOutputs
            instance.binding = binding
            instance.boundOutputs = outputs
            instance.bindingVersion += 1
            instance.bindingReason = reason
            let shortage = Binder.shortage(of: instance.positions, in: binding, among: candidates)
            try database.transaction {
                try instance.storeBinding(sensorIDs: registry.sensors.mapValues(\.id), in: database)
                var detail: JSONObject = [
                    "reason": .string(reason), "version": .int(instance.bindingVersion),
                    "sensors": bindingJSON(binding),
                ]
                if !outputs.isEmpty { detail["outputs"] = outputsJSON(outputs) }
                if let shortage { detail["shortage"] = .string(shortage.description) }
                try record("instance.rebound", instance.id.text, detail)
            }
            instances[instance.id] = instance
            changeRights()
            publish(bindingMessage(of: instance))
            if areOutputsNew { try tellOutputStatus(of: instance) }
        }
    }

    /// What may stand at the inputs of an instance with these outputs: it must not feed itself.
    func candidates(besides outputs: [OutputPosition]) -> [Candidate] {
        outputs.isEmpty
            ? registry.candidates
            : registry.candidates.filter { candidate in !outputs.contains { $0.sensor == candidate.id } }
    }

    /// The sensors that an instance may publish now: those that are registered as they were when it was deployed.
    func bindOutputs(_ outputs: [OutputPosition]) -> [Identifier?] {
        outputs.map { output in
            guard let sensor = registry.sensors[output.sensor], sensor.type == output.sensorType, sensor.driver == nil
            else { return nil }
            return sensor.name
        }
    }

    /// The retained binding document.
    func bindingMessage(of instance: AlgorithmInstance) -> OutgoingMessage {
        let positions = zip(instance.positions, instance.binding).map { query, sensors in
            BindingDocument.Position(
                sensorType: query.sensorType,
                sensors: sensors.compactMap { id in
                    guard let sensor = registry.sensors[id], let type = registry.types[sensor.type]?.type else {
                        return nil
                    }
                    return BindingDocument.Sensor(id: id, type: type, attributes: sensor.attributes, topics: topics)
                })
        }
        let outputs = zip(instance.outputs, instance.boundOutputs).map { output, bound in
            let sensor = bound.flatMap { registry.sensors[$0] }, type = registry.types[output.sensorType]?.type
            return BindingDocument.Output(
                sensorType: output.sensorType,
                sensor: sensor.flatMap { sensor in
                    type.map { .init(id: sensor.name, type: $0, attributes: sensor.attributes, topics: topics) }
                })
        }
        let document = BindingDocument(
            instance: instance.id, app: instance.app, algorithm: instance.algorithm, version: instance.bindingVersion,
            reason: instance.bindingReason, positions: positions, outputs: outputs)
        return OutgoingMessage(
            topic: topics.algorithm(instance.id.text, .binding), payload: document.json.bytes(), isRetained: true)
    }

    func outputsJSON(_ outputs: [Identifier?]) -> JSON { .array(outputs.map { .text($0) }) }

    func bindingJSON(_ binding: [[Identifier]]) -> JSON {
        .array(binding.map { .array($0.map { .string($0.text) }) })
    }
}
