import HubModel
import Postgres
import SimdJSON

extension HubCore {
    /// `commands/run`: has a node run a command, once.
    ///
    /// - Parameter instance: the algorithm instance that asks; nil for a person.
    func runCommand(_ parameters: DocumentReader, for instance: Identifier?) throws -> Reply {
        try parameters.allowOnly(["node", "command", "environment", "name", "input"])
        let node = try commandNode(parameters.required("node"))
        let specification = try CommandSpecification(
            parameters, hasInput: parameters.optional("input")?.bool() ?? false)
        let name =
            try parameters.optional("name")?.identifier().text
            ?? CommandSpecification.name(ofProgram: specification.arguments[0])
        try checkRoom(for: specification, on: node, of: instance)
        let number = try database.query("SELECT nextval('hub.command_number') AS number")[0].int("number")
        guard let id = Identifier("\(name.prefix(44))-\(number)") else { throw parameters.error("name: is too long") }
        let command = NodeCommand(id: id, node: node, specification: specification, instance: instance)
        try database.transaction {
            try command.store(in: database)
            var detail: JSONObject = [
                "node": .string(node.text), "command": .array(specification.arguments.map { .string($0) }),
            ]
            if let instance { detail["instance"] = .string(instance.text) }
            try record("command.started", id.text, detail)
        }
        commands[id] = command
        changeRights()
        changePlan(of: node)
        return Reply(["id": .string(id.text), "node": .string(node.text)])
    }

    private func checkRoom(
        for specification: CommandSpecification, on node: Identifier, of instance: Identifier?
    ) throws(Refusal) {
        guard commands.count < NodeCommand.maximum else {
            throw Refusal(.conflict, "\(commands.count) commands run already, which is the most")
        }
        if let instance {
            let count = commands.values.count { $0.instance == instance }
            guard count < NodeCommand.maximumOfInstance else {
                throw Refusal(.conflict, "'\(instance)' has \(count) commands running already, which is the most")
            }
        }
        let bytes = commands.values.reduce(specification.byteCount) { sum, command in
            command.node == node ? sum + command.specification.byteCount : sum
        }
        guard bytes <= NodeCommand.maximumBytesOfNode else {
            throw Refusal(
                .tooLarge,
                "the words and variables of all commands on '\(node)' would be \(bytes) bytes; the most is "
                    + "\(NodeCommand.maximumBytesOfNode)")
        }
    }

    /// A node that is online and takes commands.
    private func commandNode(_ reader: DocumentReader) throws -> Identifier {
        let text = try reader.string()
        guard let node = Identifier(text), onlineNodes.contains(node) else {
            let known = try database.query("SELECT name FROM hub.node").map { $0.text("name") }
            guard known.contains(text) else {
                throw Refusal(.notFound, "there is no node '\(text.prefix(80))'\(didYouMean(text, among: known))")
            }
            throw Refusal(.conflict, "node '\(text)' is offline")
        }
        guard commandNodes.contains(node) else {
            throw Refusal(
                .forbidden,
                "node '\(node)' takes no commands: set agent.commands to true in the configuration of its agent")
        }
        return node
    }

    /// `commands/show`: how a command is, or how it has ended.
    func showCommand(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly(["id", "kind"])
        let reader = try parameters.required("id")
        let id = try reader.string()
        guard
            let row = try database.query(
                """
                SELECT c.id, c.node, c.instance, c.arguments, coalesce(c.state, p.state, 'STARTING') AS state,
                    coalesce(CASE WHEN c.state IS NULL THEN p.reason ELSE c.reason END, '') AS reason, p.pid,
                    c.exit_code, c.signal, (extract(epoch FROM c.created_at) * 1000000)::bigint AS created_at,
                    (extract(epoch FROM c.ended_at) * 1000000)::bigint AS ended_at
                FROM hub.command c LEFT JOIN hub.program p ON p.kind = 'command' AND p.id = c.id WHERE c.id = $1
                """, .text(id)
            ).first
        else { throw Refusal(.notFound, "no command '\(id.prefix(80))' is on record") }
        func number(_ column: String) -> JSON { row.optional(column).flatMap { Int64($0) }.map { .int($0) } ?? .null }
        return Reply([
            "command": [
                "id": .string(row.text("id")), "node": .string(row.text("node")),
                "instance": .text(row.optional("instance")), "command": try JSON(parsing: row.text("arguments")),
                "state": .string(row.text("state")), "reason": .string(row.text("reason")), "pid": number("pid"),
                "exit_code": number("exit_code"), "signal": number("signal"), "created_at": number("created_at"),
                "ended_at": number("ended_at"),
            ]
        ])
    }

    // MARK: For algorithms

    private static let methodsOfAlgorithms = [
        "commands/run", "commands/show", "programs/stop", "programs/signal", "programs/send",
    ]

    /// An algorithm instance whose deployment lets it may have commands run, and ask about its own, and nothing else.
    func checkRight(of instance: Identifier, to method: String, _ parameters: DocumentReader) throws {
        guard instances[instance]?.mayRunCommands == true else {
            throw Refusal(.forbidden, "'\(instance)' may run no commands: its deployment has no \"commands\": true")
        }
        guard Self.methodsOfAlgorithms.contains(method) else {
            throw Refusal(.forbidden, "an algorithm may not ask for '\(method.prefix(80))'")
        }
        guard method != "commands/run" else { return }
        let reader = try parameters.required("id")
        let id = try reader.string()
        let isOwn =
            try database.query(
                "SELECT FROM hub.command WHERE id = $1 AND instance = $2", .text(id), .text(instance.text)
            ).count == 1
        guard isOwn, try parameters.optional("kind")?.string() == ProgramID.Kind.command.rawValue else {
            throw Refusal(.forbidden, "'\(id.prefix(80))' is no command of '\(instance)'")
        }
    }
}
