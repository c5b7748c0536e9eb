import HubModel
import Postgres
import SimdJSON

/// A command that a node is to run, until it has ended or is stopped.
struct NodeCommand {
    let id: Identifier
    let node: Identifier
    let specification: CommandSpecification
    /// The algorithm instance that asked for it; nil for a person.
    let instance: Identifier?

    var program: ProgramID { ProgramID(.command, id) }

    /// More are not run at a time, on all nodes together.
    static let maximum = 1_000
    /// Nor for one algorithm instance.
    static let maximumOfInstance = 100
    /// Nor are those of one node longer, in bytes: they are all in its plan, which a node takes up to 16 MiB, and written
    /// as JSON some bytes are six.
    static let maximumBytesOfNode = 2 << 20
    /// How many are kept on record that are over, with their lines.
    static let maximumKept = 500

    /// All that are on their nodes' plans.
    static func active(in database: Connection) throws -> [Identifier: NodeCommand] {
        var commands: [Identifier: NodeCommand] = [:]
        for row in try database.query(
            """
            SELECT id, node, instance, arguments, environment, has_input FROM hub.command
            WHERE ended_at IS NULL AND stopped_at IS NULL
            """)
        {
            guard let id = Identifier(row.text("id")), let node = Identifier(row.text("node")) else { continue }
            let document: JSON = [
                "command": try JSON(parsing: row.text("arguments")),
                "environment": try JSON(parsing: row.text("environment")),
            ]
            commands[id] = NodeCommand(
                id: id, node: node,
                specification: try CommandSpecification(DocumentReader(document), hasInput: row.bool("has_input")),
                instance: row.optional("instance").flatMap { Identifier($0) })
        }
        return commands
    }

    /// Stores a new one.
    func store(in database: Connection) throws(PostgresError) {
        let arguments = JSON.array(specification.arguments.map { .string($0) })
        let environment = JSON.object(JSONObject(specification.environment.map { ($0.key, .string($0.value)) }))
        try database.query(
            """
            INSERT INTO hub.command (id, node, instance, arguments, environment, has_input)
            VALUES ($1, $2, $3, $4, $5, $6)
            """,
            .text(id.text), .text(node.text), .text(instance?.text), .text(arguments.text()), .text(environment.text()),
            .bool(specification.hasInput))
    }
}

extension HubCore {
    /// Stores how a command has ended, and tells of it, once. In a transaction.
    func storeEnd(of report: ProgramReport, from node: Identifier) throws(PostgresError) {
        guard report.program.kind == .command, report.isEnd else { return }
        let ended = try database.queryPrepared(
            """
            UPDATE hub.command SET ended_at = to_timestamp($3), state = $4, reason = $5, exit_code = $6, signal = $7
            WHERE id = $1 AND node = $2 AND ended_at IS NULL RETURNING id
            """,
            .text(report.program.id.text), .text(node.text), .double(Double(report.time) / 1e6),
            .text(report.state.rawValue), .text(String(report.reason.prefix(2_000))), .int(report.exitCode),
            .int(report.signal))
        guard !ended.isEmpty else { return }
        try record(
            "command.ended", report.program.id.text,
            [
                "state": .string(report.state.rawValue), "reason": .string(report.reason),
                "exit_code": report.exitCode.map { .int(Int64($0)) } ?? .null,
                "signal": report.signal.map { .int(Int64($0)) } ?? .null,
            ])
    }

    /// A command that has ended leaves its node's plan.
    func closeCommand(_ report: ProgramReport, from node: Identifier) throws {
        guard report.program.kind == .command, report.isEnd, let command = commands[report.program.id],
            command.node == node
        else { return }
        commands[command.id] = nil
        changePlan(of: node)
        changeRights()
    }

    /// Takes commands from their nodes' plans.
    func stopCommands(where isMeant: (NodeCommand) -> Bool) throws {
        for command in commands.values.filter(isMeant) {
            try database.query(
                "UPDATE hub.command SET stopped_at = now() WHERE id = $1 AND stopped_at IS NULL", .text(command.id.text)
            )
            commands[command.id] = nil
            changePlan(of: command.node)
        }
    }

    /// Removes what is left of the oldest commands that are over.
    func forgetCommands() throws {
        try database.query("SELECT hub.forget_commands($1)", .int(NodeCommand.maximumKept))
    }
}

extension ProgramReport {
    /// True for the last that is told of a program that is started once.
    fileprivate var isEnd: Bool { state == .exited || state == .fatal || state == .stopped }
}
