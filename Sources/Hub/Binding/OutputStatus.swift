import HubModel
import MQTT
import Postgres
import SimdJSON

/// The status of virtual sensors. A driver says how its sensor is, and the broker says it when the driver cannot; of an
/// algorithm, which may have several outputs and has one connection, the node knows best.
extension HubCore {
    /// Says of the sensors that an instance publishes how it is itself, as far as the database has it.
    func tellOutputStatus(of instance: AlgorithmInstance) throws {
        guard !instance.outputs.isEmpty else { return }
        let row = try database.query(
            "SELECT state, reason FROM hub.program WHERE kind = 'algorithm' AND id = $1", .text(instance.id.text)
        ).first
        let state = row.flatMap { ProgramState(rawValue: $0.text("state")) } ?? .waiting
        tellOutputStatus(of: instance, state, row?.text("reason") ?? "it has not been started yet")
    }

    /// Says of the sensors that an instance publishes what its node has told of it. Said again with each report: a
    /// broker that has lost what was retained hears it with the snapshot that every reconnect of the agent brings.
    func tellOutputStatus(of instance: AlgorithmInstance, _ state: ProgramState, _ reason: String) {
        let isOnline = state == .running || state == .stopping
        tellOutputStatus(
            of: instance, isOnline: isOnline,
            isOnline ? nil : "algorithm instance '\(instance.id)' is \(state.rawValue): \(reason.prefix(400))")
    }

    func tellOutputStatus(of instance: AlgorithmInstance, isOnline: Bool, _ reason: String?) {
        var status: JSONObject = ["status": isOnline ? "online" : "offline"]
        if let reason { status["reason"] = .string(reason) }
        status["t"] = .int(microsecondsSince1970())
        for case let sensor? in instance.boundOutputs {
            publish(
                OutgoingMessage(
                    topic: topics.sensor(sensor.text, .status), payload: JSON.object(status).bytes(), isRetained: true))
        }
    }
}
