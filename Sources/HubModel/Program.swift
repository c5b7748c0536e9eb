public import SimdJSON

/// The state of a supervised program; words and codes are Supervisor's.
public enum ProgramState: String, Sendable, Hashable, CaseIterable {
    case stopped = "STOPPED"
    case starting = "STARTING"
    case running = "RUNNING"
    case backoff = "BACKOFF"
    case stopping = "STOPPING"
    /// It is to run, and waits for what is not there yet: its node, or its time. The one word that Supervisor has not.
    case waiting = "WAITING"
    case exited = "EXITED"
    case fatal = "FATAL"
    case unknown = "UNKNOWN"

    /// False where nothing more happens by itself.
    public var isAlive: Bool { self == .starting || self == .running || self == .stopping || self == .waiting }

    /// Supervisor's number for it (supervisor/states.py), and 50 for the one that it has not.
    public var code: Int {
        switch self {
        case .stopped: 0
        case .starting: 10
        case .running: 20
        case .backoff: 30
        case .stopping: 40
        case .waiting: 50
        case .exited: 100
        case .fatal: 200
        case .unknown: 1_000
        }
    }
}

/// A program that the hub has started: a sensor's driver, an algorithm instance, or a command that somebody has a node
/// run. Their ids are three name spaces.
public struct ProgramID: Sendable, Hashable, CustomStringConvertible {
    public enum Kind: String, Sendable, Hashable {
        case driver, algorithm, command
    }

    public let kind: Kind
    public let id: Identifier

    public init(_ kind: Kind, _ id: Identifier) {
        self.kind = kind
        self.id = id
    }

    /// As a file name.
    public var description: String { "\(kind.rawValue)-\(id)" }

    /// Reads a `description`; nil for what is none.
    public init?(description: String) {
        guard let dash = description.firstIndex(of: "-"), let kind = Kind(rawValue: String(description[..<dash])),
            let id = Identifier(description[description.index(after: dash)...])
        else { return nil }
        self.init(kind, id)
    }

    /// Its user at the broker; nil for a command, which knows nothing of the hub.
    public var user: BrokerUser? {
        switch kind {
        case .driver: .sensor(id)
        case .algorithm: .algorithm(id)
        case .command: nil
        }
    }

    /// Reads `{"program": kind, "id"}` of a report or plan.
    public init(_ reader: DocumentReader) throws(ValidationError) {
        let word = try reader.required("program")
        guard let kind = Kind(rawValue: try word.string()) else { throw word.error("is no kind of program") }
        self.kind = kind
        id = try reader.required("id").identifier()
    }
}

/// What a node tells of one of its programs.
public struct ProgramReport: Sendable, Hashable {
    public let program: ProgramID
    public let state: ProgramState
    /// Why it is in this state, for people.
    public let reason: String
    public let pid: Int32?
    /// Microseconds since 1970: since when it is in this state.
    public let time: Int64
    /// Counts the starts on this node since the program was placed there.
    public let run: Int64
    /// How the last run ended, where it did.
    public let exitCode: Int32?
    public let signal: Int32?
    /// The latest record of the program's journal that it takes into account; nil where it is not from a journal.
    public let position: JournalPosition?

    public init(
        program: ProgramID, state: ProgramState, reason: String, pid: Int32?, time: Int64, run: Int64,
        exitCode: Int32? = nil, signal: Int32? = nil, position: JournalPosition? = nil
    ) {
        self.program = program
        self.state = state
        self.reason = reason
        self.pid = pid
        self.time = time
        self.run = run
        self.exitCode = exitCode
        self.signal = signal
        self.position = position
    }

    public var json: JSON {
        var object: JSONObject = [
            "id": .string(program.id.text), "program": .string(program.kind.rawValue),
            "state": .string(state.rawValue), "reason": .string(reason), "t": .int(time), "run": .int(run),
        ]
        if let pid { object["pid"] = .int(Int64(pid)) }
        if let exitCode { object["exit_code"] = .int(Int64(exitCode)) }
        if let signal { object["signal"] = .int(Int64(signal)) }
        if let position {
            object["origin"] = .int(position.origin)
            object["n"] = .int(position.number)
        }
        return .object(object)
    }

    public init(_ reader: DocumentReader) throws(ValidationError) {
        let origin = try reader.optional("origin"), number = try reader.optional("n")
        let position = origin == nil && number == nil ? nil : try JournalPosition(reader)
        try self.init(reader, of: try ProgramID(reader), at: position)
    }

    /// Reads what a report says besides the program and its journal.
    init(_ reader: DocumentReader, of program: ProgramID, at position: JournalPosition?) throws(ValidationError) {
        let int32 = Int64(Int32.min)...Int64(Int32.max)
        self.program = program
        self.position = position
        let word = try reader.required("state")
        guard let state = ProgramState(rawValue: try word.string()) else { throw word.error("is no state") }
        self.state = state
        let reason = try reader.required("reason")
        // It may quote what the program wrote, which may be anything.
        guard let text = reason.value.string else { throw reason.error("expected text, found \(reason.value.kind)") }
        self.reason = text.replacing("\0", with: "")
        pid = try reader.optional("pid").map { (pid) throws(ValidationError) in Int32(try pid.int(int32)) }
        time = try reader.required("t").int(0...4_102_444_800_000_000)
        run = try reader.required("run").int(0...Int64.max)
        exitCode = try reader.optional("exit_code").map { (code) throws(ValidationError) in Int32(try code.int(int32)) }
        signal = try reader.optional("signal").map { (code) throws(ValidationError) in Int32(try code.int(int32)) }
    }
}

/// A program that a node is to run.
public struct PlannedProgram: Sendable, Hashable {
    public enum Work: Sendable, Hashable {
        case driver(name: String, type: SensorType, instance: SensorInstance)
        /// An algorithm, or an app of a device.
        case app(AppWork)
        /// Started once, whatever becomes of it.
        case command(CommandSpecification)
    }

    public let program: ProgramID
    /// The hash of the password that the broker knows for it; nil while there is none.
    public let credential: String?
    public let work: Work
    /// False where it is to be kept, but not to run.
    public let isEnabled: Bool
    /// Grows with each start that somebody asked for; another number than before ends what runs, and starts it anew.
    public let generation: Int64
    /// The same for all of a program's life.
    public let conditions: RunConditions

    public init(
        program: ProgramID, credential: String?, work: Work, isEnabled: Bool = true, generation: Int64 = 0,
        conditions: RunConditions = .usual
    ) {
        self.program = program
        self.credential = credential
        self.work = work
        self.isEnabled = isEnabled
        self.generation = generation
        self.conditions = conditions
    }

    public var json: JSON {
        var object: JSONObject = [
            "id": .string(program.id.text), "program": .string(program.kind.rawValue),
            "credential": credential.map { .string($0) } ?? .null, "enabled": .bool(isEnabled),
            "generation": .int(generation),
        ]
        for member in conditions.members { object[member.key] = member.value }
        switch work {
        case .driver(let name, let type, let instance):
            object["driver"] = .string(name)
            object["type"] = type.json
            object["instance"] = instance.json
        case .app(let work): work.write(into: &object)
        case .command(let specification):
            for member in specification.members { object[member.key] = member.value }
        }
        return .object(object)
    }

    public init(_ reader: DocumentReader) throws(ValidationError) {
        program = try ProgramID(reader)
        credential = try reader.optional("credential")?.string()
        isEnabled = try reader.optional("enabled")?.bool() ?? true
        generation = try reader.optional("generation")?.int() ?? 0
        conditions = try RunConditions(reader)
        switch program.kind {
        case .driver:
            work = .driver(
                name: try reader.required("driver").identifier().text,
                type: try SensorType(json: try reader.required("type").value),
                instance: try SensorInstance(json: try reader.required("instance").value))
        case .algorithm:
            work = .app(try AppWork(reader))
        case .command:
            work = .command(try CommandSpecification(reader))
        }
    }
}
