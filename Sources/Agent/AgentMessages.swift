import Glibc
import HubModel
import MQTT
import SimdJSON

/// What the agent says, as docs/topics.md has it.
struct AgentMessages: Sendable {
    let topics: Topics
    let node: Identifier
    let version: String

    func status(isOnline: Bool) -> OutgoingMessage {
        message(
            topics.node(node.text, .status),
            [
                "status": .string(isOnline ? "online" : "offline"), "version": .string(version),
                "t": .int(microsecondsNow()),
            ], isRetained: true)
    }

    func snapshot(_ programs: [ProgramReport]) -> OutgoingMessage {
        report(["kind": "snapshot", "t": .int(microsecondsNow()), "programs": .array(programs.map(\.json))])
    }

    /// - Parameter sample: a `StatisticsSample` as JSON.
    func statistics(_ sample: [UInt8]) -> OutgoingMessage {
        OutgoingMessage(topic: topics.node(node.text, .statistics), payload: sample)
    }

    func credential(_ hash: String, of program: ProgramID) -> OutgoingMessage {
        report([
            "kind": "credential", "id": .string(program.id.text), "program": .string(program.kind.rawValue),
            "hash": .string(hash),
        ])
    }

    func archiveWanted(_ sha256: String) -> OutgoingMessage {
        report(["kind": "archive_wanted", "sha256": .string(sha256)])
    }

    /// A change of state goes to the hub, and to whoever follows the program.
    func messages(for item: Outbox.Item) -> [OutgoingMessage] {
        switch item {
        case .state(let state):
            var report = JSONObject([("kind", .string("state"))])
            for member in state.json.object ?? [:] { report[member.key] = member.value }
            // The hub takes the right to the first topic away when it hears that a program has ended for good.
            return [
                message(topic(of: state.program, sensor: .events, algorithm: .events), state.json),
                self.report(.object(report)),
            ]
        case .log(let program, let lines):
            let json = lines.map { line -> JSON in
                ["t": .int(line.time), "stream": .string(line.stream.rawValue), "text": .string(line.text)]
            }
            return [message(topic(of: program, sensor: .log, algorithm: .log), .array(json))]
        }
    }

    private func report(_ json: JSON) -> OutgoingMessage {
        message(topics.node(node.text, .report), json)
    }

    private func topic(
        of program: ProgramID, sensor: Topics.SensorLeaf, algorithm: Topics.AlgorithmLeaf
    ) -> String {
        switch program.kind {
        case .driver: topics.sensor(program.id.text, sensor)
        case .algorithm: topics.algorithm(program.id.text, algorithm)
        }
    }

    private func message(_ topic: String, _ json: JSON, isRetained: Bool = false) -> OutgoingMessage {
        OutgoingMessage(topic: topic, payload: json.bytes(), isRetained: isRetained)
    }
}

/// Microseconds since 1970.
func microsecondsNow() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
}
