public import SimdJSON

/// Under which conditions a program runs, as its deployment says.
public struct RunConditions: Sendable, Hashable {
    public var limits: Limits
    /// Whether it is to see little of its machine; nil where the node decides.
    public var isolation: Bool?
    public var supervision: SupervisionRules

    public static let usual = RunConditions()
    /// The keys that are read.
    public static let keys = ["limits", "isolation", "supervision"]

    public init(
        limits: Limits = .none, isolation: Bool? = nil, supervision: SupervisionRules = SupervisionRules()
    ) {
        self.limits = limits
        self.isolation = isolation
        self.supervision = supervision
    }

    /// Reads `limits`, `isolation` and `supervision`, each of them optional, among other keys.
    public init(_ reader: DocumentReader) throws(ValidationError) {
        limits = try reader.optional("limits").map { (limits) throws(ValidationError) in try Limits(limits) } ?? .none
        isolation = try reader.optional("isolation")?.bool()
        supervision =
            try reader.optional("supervision").map { (rules) throws(ValidationError) in try SupervisionRules(rules) }
            ?? SupervisionRules()
    }

    /// What is as usual is left out.
    public var members: JSONObject {
        var object = JSONObject()
        if limits != .none { object["limits"] = limits.json }
        if let isolation { object["isolation"] = .bool(isolation) }
        if supervision != SupervisionRules() { object["supervision"] = supervision.json }
        return object
    }
}

/// When a program is started, when it is started again, and how it is ended. The words are Supervisor's; nil is as programs
/// of that kind have it.
public struct SupervisionRules: Sendable, Hashable {
    public enum Autorestart: Sendable, Hashable {
        case never
        /// After a signal or an exit code that is none of `exitcodes`.
        case unexpected
        case always
    }

    public enum Retries: Sendable, Hashable {
        case number(Int)
        /// It is never given up.
        case unlimited
    }

    /// False for a program that rests until somebody enables it.
    public var autostart = true
    public var autorestart: Autorestart?
    /// The expected ones.
    public var exitcodes: Set<Int32>?
    /// How long a start takes to have succeeded, in seconds.
    public var startsecs: Int64?
    /// How many failed starts in a row are followed by another one.
    public var startretries: Retries?
    /// What asks it to end.
    public var stopsignal: Signal?
    /// How long it may take then, in seconds, before it is killed.
    public var stopwaitsecs: Int64?
    /// The longest waiting time before a start, in seconds; Supervisor has no such word.
    public var backoffsecs: Int64?

    private static let seconds: ClosedRange<Int64> = 0...3_600

    public init() {}

    /// Reads `{"autostart", "autorestart", "exitcodes", "startsecs", "startretries", "stopsignal", "stopwaitsecs",
    /// "backoffsecs"}`, each of them optional.
    public init(_ reader: DocumentReader) throws(ValidationError) {
        try reader.allowOnly([
            "autostart", "autorestart", "exitcodes", "startsecs", "startretries", "stopsignal", "stopwaitsecs",
            "backoffsecs",
        ])
        autostart = try reader.optional("autostart")?.bool() ?? true
        autorestart = try reader.optional("autorestart").map(Self.autorestart)
        if let codes = try reader.optional("exitcodes") {
            var expected: Set<Int32> = []
            for code in try codes.items() { expected.insert(Int32(try code.int(0...255))) }
            exitcodes = expected
        }
        startsecs = try reader.optional("startsecs")?.int(Self.seconds)
        startretries = try reader.optional("startretries").map { (retries) throws(ValidationError) in
            if retries.value == "unlimited" { return .unlimited }
            guard retries.value.string == nil else { throw retries.error("expected a number or \"unlimited\"") }
            return .number(Int(try retries.int(0...1_000_000)))
        }
        if let word = try reader.optional("stopsignal") {
            do {
                stopsignal = try Signal(try word.string())
            } catch {
                throw word.error(error.reason)
            }
        }
        stopwaitsecs = try reader.optional("stopwaitsecs")?.int(Self.seconds)
        backoffsecs = try reader.optional("backoffsecs")?.int(1...3_600)
    }

    private static func autorestart(_ reader: DocumentReader) throws(ValidationError) -> Autorestart {
        switch reader.value {
        case false: .never
        case true: .always
        case "unexpected": .unexpected
        default: throw reader.error("expected true, false or \"unexpected\"")
        }
    }

    /// What is nil is left out.
    public var json: JSON {
        var object: JSONObject = ["autostart": .bool(autostart)]
        switch autorestart {
        case .never: object["autorestart"] = false
        case .unexpected: object["autorestart"] = "unexpected"
        case .always: object["autorestart"] = true
        case nil: break
        }
        if let exitcodes { object["exitcodes"] = .array(exitcodes.sorted().map { .int(Int64($0)) }) }
        if let startsecs { object["startsecs"] = .int(startsecs) }
        switch startretries {
        case .number(let number): object["startretries"] = .int(Int64(number))
        case .unlimited: object["startretries"] = "unlimited"
        case nil: break
        }
        if let stopsignal { object["stopsignal"] = .string(stopsignal.description) }
        if let stopwaitsecs { object["stopwaitsecs"] = .int(stopwaitsecs) }
        if let backoffsecs { object["backoffsecs"] = .int(backoffsecs) }
        return .object(object)
    }
}
