import HubModel
import MQTT
import SimdJSON
import Watch

/// What the agent says, as docs/topics.md has it.
struct AgentMessages: Sendable {
    let topics: Topics
    let node: Identifier
    let version: String
    /// Told with the birth.
    let takesCommands: Bool

    func status(isOnline: Bool) -> OutgoingMessage {
        message(
            topics.node(node.text, .status),
            [
                "status": .string(isOnline ? "online" : "offline"), "version": .string(version),
                "commands": .bool(takesCommands), "t": .int(microsecondsNow()),
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

    func heard(_ heard: RequestHeard) -> OutgoingMessage { report(heard.json) }

    func archiveWanted(_ sha256: String) -> OutgoingMessage {
        report(["kind": "archive_wanted", "sha256": .string(sha256)])
    }

    /// What the hub is to store.
    func journal(_ batch: ProgramJournal.Batch, of program: ProgramID) -> OutgoingMessage {
        report([
            "kind": "journal", "id": .string(program.id.text), "program": .string(program.kind.rawValue),
            "origin": .int(batch.origin), "after": .int(batch.after), "records": .array(batch.entries.map(\.report)),
        ])
    }

    /// What whoever follows the program hears: a message for each change of state, and one for lines between them.
    ///
    /// - Parameter origin: of the journal.
    func news(_ entries: [JournalEntry], from origin: Int64, of program: ProgramID) -> [OutgoingMessage] {
        var messages: [OutgoingMessage] = []
        var lines: [JSON] = []
        func sendLines() {
            guard !lines.isEmpty else { return }
            messages.append(message(topic(of: program, sensor: .log, algorithm: .log, command: .log), .array(lines)))
            lines = []
        }
        for entry in entries {
            switch entry.content {
            case .line(let line, let run):
                lines.append([
                    "t": .int(line.time), "stream": .string(line.stream.rawValue), "text": .string(line.text),
                    "run": .int(run), "origin": .int(origin), "n": .int(entry.number),
                ])
                if lines.count >= 100 { sendLines() }
            case .state(let memory):
                sendLines()
                messages.append(
                    message(
                        topic(of: program, sensor: .events, algorithm: .events, command: .events),
                        ProgramReport(
                            program: program, memory.status,
                            at: JournalPosition(origin: origin, number: entry.number)
                        ).json))
            }
        }
        sendLines()
        return messages
    }

    private func report(_ json: JSON) -> OutgoingMessage {
        message(topics.node(node.text, .report), json)
    }

    private func topic(
        of program: ProgramID, sensor: Topics.SensorLeaf, algorithm: Topics.AlgorithmLeaf, command: Topics.CommandLeaf
    ) -> String {
        switch program.kind {
        case .driver: topics.sensor(program.id.text, sensor)
        case .algorithm: topics.algorithm(program.id.text, algorithm)
        case .command: topics.command(program.id.text, command)
        }
    }

    private func message(_ topic: String, _ json: JSON, isRetained: Bool = false) -> OutgoingMessage {
        OutgoingMessage(topic: topic, payload: json.bytes(), isRetained: isRetained)
    }
}

extension JournalEntry {
    /// As the hub takes it.
    fileprivate var report: JSON {
        switch content {
        case .line(let line, let run):
            return [
                "n": .int(number), "t": .int(line.time), "run": .int(run), "stream": .string(line.stream.rawValue),
                "text": .string(line.text),
            ]
        case .state(let memory):
            let status = memory.status
            var object: JSONObject = [
                "n": .int(number), "t": .int(status.since), "run": .int(status.run),
                "state": .string(status.state.rawValue), "reason": .string(status.reason),
            ]
            if let pid = status.pid { object["pid"] = .int(Int64(pid)) }
            if let code = status.exitCode { object["exit_code"] = .int(Int64(code)) }
            if let signal = status.signal { object["signal"] = .int(Int64(signal)) }
            return .object(object)
        }
    }
}
