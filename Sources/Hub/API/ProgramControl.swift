import HubModel
import MQTT
import Postgres
import SimdJSON

/// What a person wants of a program beyond that it is placed on a node.
struct ProgramWish {
    /// False where it is to rest.
    var isEnabled = true
    /// Grows with each start that somebody asked for.
    var generation: Int64 = 0

    /// Those that are not as ever.
    static func all(in database: Connection) throws(PostgresError) -> [ProgramID: ProgramWish] {
        var wishes: [ProgramID: ProgramWish] = [:]
        for row in try database.query("SELECT kind, id, enabled, generation FROM hub.program_wish") {
            guard let kind = ProgramID.Kind(rawValue: row.text("kind")), let id = Identifier(row.text("id")) else {
                continue
            }
            wishes[ProgramID(kind, id)] = ProgramWish(isEnabled: row.bool("enabled"), generation: row.int("generation"))
        }
        return wishes
    }

    /// - Parameter isEnabled: whether the program is to run.
    static func set(_ program: ProgramID, isEnabled: Bool, in database: Connection) throws(PostgresError) {
        try database.query(
            """
            INSERT INTO hub.program_wish (kind, id, enabled) VALUES ($1, $2, $3)
            ON CONFLICT (kind, id) DO UPDATE SET enabled = EXCLUDED.enabled
            """, .text(program.kind.rawValue), .text(program.id.text), .bool(isEnabled))
    }

    /// The program is gone for good: another one may get its name.
    static func forget(_ program: ProgramID, in database: Connection) throws(PostgresError) {
        try database.query(
            "DELETE FROM hub.program_wish WHERE kind = $1 AND id = $2", .text(program.kind.rawValue),
            .text(program.id.text))
    }
}

extension HubCore {
    /// `programs/restart`: ends what is there of a program, and starts it.
    func restartProgram(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly(["id", "kind"])
        return try begin(commandedProgram(parameters), "program.restarted")
    }

    /// `programs/start`: starts a program that has ended, or waits for its next start.
    func startProgram(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly(["id", "kind"])
        let commanded = try commandedProgram(parameters)
        try refuseCommand(commanded.program)
        if let state = commanded.state, state.isAlive {
            throw Refusal(.conflict, "'\(commanded.program.id)' is \(state.rawValue): sensorhub restart starts it anew")
        }
        return try begin(commanded, "program.started")
    }

    /// `programs/signal`: sends a signal to the process group of a program.
    func signalProgram(_ request: Request) throws -> Reply {
        let parameters = request.parameters, name = try request.nameForNode()
        try parameters.allowOnly(["id", "kind", "signal"])
        let word = try parameters.required("signal")
        let text = try word.value.int.map { String($0) } ?? word.string()
        let signal: Signal
        do {
            signal = try Signal(text)
        } catch {
            throw word.error("\(error)")
        }
        let (commanded, node, pid) = try runningProgram(parameters)
        let reply = try send(
            SignalRequest(commanded.program, signal, run: commanded.run, name: name).json, named: name, to: node,
            for: request, Reply(["node": .string(node.text), "pid": .int(pid), "signal": .string("\(signal)")]))
        try record(
            "program.signalled", commanded.program.id.text,
            [
                "program": .string(commanded.program.kind.rawValue), "signal": .string("\(signal)"),
            ])
        return reply
    }

    /// `programs/enable` and `programs/disable`: whether it is to run at all, from now on.
    func enableProgram(_ parameters: DocumentReader, _ isEnabled: Bool) throws -> Reply {
        try parameters.allowOnly(["id", "kind"])
        let commanded = try commandedProgram(parameters)
        try refuseCommand(commanded.program)
        let isChanged = commanded.wish.isEnabled != isEnabled
        if isChanged {
            try database.transaction {
                try ProgramWish.set(commanded.program, isEnabled: isEnabled, in: database)
                try record(
                    isEnabled ? "program.enabled" : "program.disabled", commanded.program.id.text,
                    [
                        "program": .string(commanded.program.kind.rawValue)
                    ])
            }
            changePlan(of: commanded.node)
        }
        let isReachable = commanded.node.map { onlineNodes.contains($0) } ?? false
        return Reply([
            "kind": .string(commanded.program.kind.rawValue), "node": .text(commanded.node), "run": .int(commanded.run),
            "changed": .bool(isChanged), "reachable": .bool(isReachable),
        ])
    }

    // MARK: Which program

    /// A program that a request is about, with the last that its node has said of it.
    struct Commanded {
        let program: ProgramID
        let node: Identifier?
        let wish: ProgramWish
        var state: ProgramState?
        var pid: Int64?
        var run: Int64 = 0
        var reason = "nothing was heard of it yet"
    }

    private func begin(_ commanded: Commanded, _ event: String) throws -> Reply {
        let program = commanded.program
        try refuseCommand(program)
        guard commanded.wish.isEnabled else {
            throw Refusal(.conflict, "'\(program.id)' is disabled: sensorhub enable \(program.id)")
        }
        let node = try onlineNode(of: commanded)
        if program.kind == .algorithm,
            let app = try DeviceApp.all(on: node, in: database).first(where: { $0.instance == program.id }),
            !app.isWanted
        {
            throw Refusal(
                .conflict,
                "'\(program.id)' is an app of device '\(node)' that waits for start_app: "
                    + "sensorhub apps start \(app.id) --node \(node)")
        }
        try database.transaction {
            try database.query(
                """
                INSERT INTO hub.program_wish AS w (kind, id, generation) VALUES ($1, $2, 1)
                ON CONFLICT (kind, id) DO UPDATE SET generation = w.generation + 1
                """, .text(program.kind.rawValue), .text(program.id.text))
            try record(event, program.id.text, ["program": .string(program.kind.rawValue)])
        }
        changePlan(of: node)
        return Reply([
            "kind": .string(program.kind.rawValue), "node": .string(node.text), "run": .int(commanded.run),
        ])
    }

    /// What a request says of the kind of a program.
    func programKind(_ parameters: DocumentReader) throws(ValidationError) -> ProgramID.Kind? {
        guard let word = try parameters.optional("kind") else { return nil }
        guard let kind = ProgramID.Kind(rawValue: try word.string()) else {
            throw word.error("must be 'driver', 'algorithm' or 'command'")
        }
        return kind
    }

    /// A command runs once, and then is over.
    private func refuseCommand(_ program: ProgramID) throws(Refusal) {
        guard program.kind != .command else {
            throw Refusal(
                .conflict, "'\(program.id)' is a command, which runs once: sensorhub stop \(program.id) ends it")
        }
    }

    /// The program that a request is about, which must have a process that can be reached.
    func runningProgram(_ parameters: DocumentReader) throws -> (commanded: Commanded, node: Identifier, pid: Int64) {
        let commanded = try commandedProgram(parameters)
        let node = try onlineNode(of: commanded)
        guard let pid = commanded.pid, let state = commanded.state, state.isAlive else {
            throw Refusal(
                .conflict,
                "'\(commanded.program.id)' does not run: it is \(commanded.state?.rawValue ?? "not started") "
                    + "(\(commanded.reason))")
        }
        return (commanded, node, pid)
    }

    private func onlineNode(of commanded: Commanded) throws(Refusal) -> Identifier {
        guard let node = commanded.node else {
            throw Refusal(.conflict, "'\(commanded.program.id)' is not placed on any node yet, and starts when it is")
        }
        guard onlineNodes.contains(node) else {
            throw Refusal(.conflict, "'\(commanded.program.id)' cannot be reached: its node '\(node)' is offline")
        }
        return node
    }

    /// The program that `id` names, and `kind` where several have the same id.
    private func commandedProgram(_ parameters: DocumentReader) throws -> Commanded {
        let text = try parameters.required("id").string()
        let kind = try programKind(parameters)
        let id = Identifier(text)
        let sensor = id.flatMap { registry.sensors[$0] }
        var found: [(program: ProgramID, node: Identifier?)] = []
        if let instance = id.flatMap({ instances[$0] }) {
            found.append((ProgramID(.algorithm, instance.id), instance.node))
        }
        if let sensor, sensor.driver != nil { found.append((ProgramID(.driver, sensor.name), sensor.node)) }
        if let command = id.flatMap({ commands[$0] }) { found.append((command.program, command.node)) }
        if let kind { found.removeAll { $0.program.kind != kind } }
        guard let (program, node) = found.first else {
            if let sensor, sensor.driver == nil, kind == nil || kind == .driver {
                throw Refusal(.conflict, "sensor '\(text)' has no driver: it is a device that publishes by itself")
            }
            let drivers = registry.sensors.values.filter { $0.driver != nil }
            let known = instances.keys.map(\.text) + drivers.map(\.name.text) + commands.keys.map(\.text)
            throw Refusal(.notFound, "no program '\(text.prefix(80))'\(didYouMean(text, among: known))")
        }
        guard found.count == 1 else {
            let kinds = found.map { "'\($0.program.kind.rawValue)'" }.sorted().joined(separator: " or ")
            throw Refusal(.conflict, "there are several programs '\(text)': say \(kinds) as the kind")
        }
        var commanded = Commanded(
            program: program, node: node, wish: try ProgramWish.all(in: database)[program] ?? ProgramWish())
        if let row = try database.query(
            "SELECT state, pid, run, reason FROM hub.program WHERE kind = $1 AND id = $2",
            .text(program.kind.rawValue), .text(program.id.text)
        ).first {
            commanded.state = ProgramState(rawValue: row.text("state"))
            commanded.pid = row.optional("pid").flatMap { Int64($0) }
            commanded.run = row.int("run")
            commanded.reason = row.text("reason")
        }
        return commanded
    }
}
