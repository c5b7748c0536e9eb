import HubModel
import MQTT
import SimdJSON

extension HubCore {
    /// Looks again at the instances that have a position of one of `types`, after such sensors came or went. What runs
    /// goes on running and gets a new binding document; a position that is short is recorded.
    func rebind(_ types: Set<Identifier>, because reason: String) throws {
        let candidates = registry.candidates
        let affected = instances.values.filter { instance in
            instance.positions.contains { types.contains($0.sensorType) }
        }
        for var instance in affected.sorted(by: { $0.id.text < $1.id.text }) {
            let binding = Binder.bind(instance.positions, to: candidates, current: instance.binding)
            guard binding != instance.binding else { continue }
            instance.binding = binding
            instance.bindingVersion += 1
            instance.bindingReason = reason
            let shortage = Binder.shortage(of: instance.positions, in: binding, among: candidates)
            try database.transaction {
                try instance.storeBinding(sensorIDs: registry.sensors.mapValues(\.id), in: database)
                var detail: JSONObject = [
                    "reason": .string(reason), "version": .int(instance.bindingVersion), "sensors": bindingJSON(binding),
                ]
                if let shortage { detail["shortage"] = .string(shortage.description) }
                try record("instance.rebound", instance.id.text, detail)
            }
            instances[instance.id] = instance
            changeRights()
            publish(bindingMessage(of: instance))
        }
    }

    /// The retained binding document.
    func bindingMessage(of instance: AlgorithmInstance) -> OutgoingMessage {
        let positions = zip(instance.positions, instance.binding).map { query, sensors in
            BindingDocument.Position(
                sensorType: query.sensorType,
                sensors: sensors.compactMap { id in
                    guard let sensor = registry.sensors[id], let type = registry.types[sensor.type]?.type else { return nil }
                    return BindingDocument.Sensor(id: id, type: type, attributes: sensor.attributes, topics: topics)
                })
        }
        let document = BindingDocument(
            instance: instance.id, app: instance.app, algorithm: instance.algorithm, version: instance.bindingVersion,
            reason: instance.bindingReason, positions: positions)
        return OutgoingMessage(
            topic: topics.algorithm(instance.id.text, .binding), payload: document.json.bytes(), isRetained: true)
    }

    func bindingJSON(_ binding: [[Identifier]]) -> JSON {
        .array(binding.map { .array($0.map { .string($0.text) }) })
    }
}
