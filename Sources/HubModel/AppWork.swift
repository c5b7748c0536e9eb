public import SimdJSON

/// What a node is to run of an app: an algorithm, or an app that was installed on a device.
public struct AppWork: Sendable, Hashable {
    public let app: Identifier
    /// Of the archive.
    public let sha256: String
    /// The file that is started, by its path in the archive.
    public let script: String
    public let runtime: Runtime
    /// Python packages.
    public let requirements: [String]
    /// Stand after those of the runtime's command.
    public let arguments: [String]
    /// Nil for an algorithm.
    public let device: DeviceAppRun?

    public init(
        app: Identifier, sha256: String, script: String, runtime: Runtime, requirements: [String],
        arguments: [String], device: DeviceAppRun? = nil
    ) {
        self.app = app
        self.sha256 = sha256
        self.script = script
        self.runtime = runtime
        self.requirements = requirements
        self.arguments = arguments
        self.device = device
    }

    func write(into object: inout JSONObject) {
        object["app"] = .string(app.text)
        object["sha256"] = .string(sha256)
        object["script"] = .string(script)
        object["runtime"] = runtime.json
        object["requirements"] = .array(requirements.map { .string($0) })
        object["arguments"] = .array(arguments.map { .string($0) })
        if let device { object["device"] = device.json }
    }

    init(_ reader: DocumentReader) throws(ValidationError) {
        let script = try reader.required("script")
        guard ArchivePath.isSafe(try script.string()) else { throw script.error("is no path inside the app") }
        let sha256 = try reader.required("sha256")
        guard Identifier(try sha256.string()) != nil else { throw sha256.error("is no digest") }
        var arguments: [String] = []
        for item in try reader.required("arguments").items() { arguments.append(try item.string()) }
        self.init(
            app: try reader.required("app").identifier(), sha256: try sha256.string(), script: try script.string(),
            runtime: try Runtime(try reader.required("runtime")),
            requirements: try Requirement.list(try reader.required("requirements")), arguments: arguments,
            device: try reader.optional("device").map { (device) throws(ValidationError) in try DeviceAppRun(device) })
    }
}

/// When and how an app of a device runs.
public struct DeviceAppRun: Sendable, Hashable {
    /// For people.
    public let name: String
    /// Grows with each `start_app` and `stop_app`.
    public let request: Int64
    /// What the last one asked for.
    public let isWanted: Bool
    public let startsOnBoot: Bool
    /// Not before this time, in microseconds since 1970.
    public let notBefore: Int64?
    /// As of nice(1).
    public let niceness: Int
    /// Whether it is started again after a failure, and how often in a row at most; nil for ever.
    public let retries: Bool
    public let maximumRetries: Int?
    /// What the app reads in SENSORHUB_PARAMETERS.
    public let parameters: JSONObject
    /// What is told on the device's topics.
    public let publishes: Publishing

    public struct Publishing: Sendable, Hashable {
        public var events: Bool
        public var logs: Bool
        public var statistics: Bool

        public init(events: Bool = true, logs: Bool = true, statistics: Bool = true) {
            self.events = events
            self.logs = logs
            self.statistics = statistics
        }

        public var json: JSON {
            ["events": .bool(events), "logs": .bool(logs), "stats": .bool(statistics)]
        }

        /// What is not said is on.
        public init(_ reader: DocumentReader) throws(ValidationError) {
            try reader.allowOnly(["events", "logs", "stats"])
            events = try reader.optional("events")?.bool() ?? true
            logs = try reader.optional("logs")?.bool() ?? true
            statistics = try reader.optional("stats")?.bool() ?? true
        }
    }

    public init(
        name: String, request: Int64, isWanted: Bool, startsOnBoot: Bool = false, notBefore: Int64? = nil,
        niceness: Int = 0, retries: Bool = false, maximumRetries: Int? = nil, parameters: JSONObject = [:],
        publishes: Publishing = Publishing()
    ) {
        self.name = name
        self.request = request
        self.isWanted = isWanted
        self.startsOnBoot = startsOnBoot
        self.notBefore = notBefore
        self.niceness = niceness
        self.retries = retries
        self.maximumRetries = maximumRetries
        self.parameters = parameters
        self.publishes = publishes
    }

    public var json: JSON {
        [
            "name": .string(name), "request": .int(request), "wanted": .bool(isWanted),
            "start_on_boot": .bool(startsOnBoot), "not_before": notBefore.map { .int($0) } ?? .null,
            "nice": .int(Int64(niceness)), "retry": .bool(retries),
            "max_retries": maximumRetries.map { .int(Int64($0)) } ?? .null, "parameters": .object(parameters),
            "publish": publishes.json,
        ]
    }

    public init(_ reader: DocumentReader) throws(ValidationError) {
        name = try reader.required("name").string()
        request = try reader.required("request").int()
        isWanted = try reader.required("wanted").bool()
        startsOnBoot = try reader.required("start_on_boot").bool()
        notBefore = try reader.optional("not_before")?.int(0...4_102_444_800_000_000)
        niceness = Int(try reader.required("nice").int(-20...19))
        retries = try reader.required("retry").bool()
        maximumRetries = try reader.optional("max_retries").map { (count) throws(ValidationError) in
            Int(try count.int(0...1_000_000))
        }
        parameters = try reader.required("parameters").object()
        publishes = try Publishing(try reader.required("publish"))
    }
}

/// Whether an app of a device is to run, as its node decides it, also without the hub: what the last request said holds
/// until the machine is started anew; from then on, what `start_on_boot` says.
public struct DeviceAppStart: Sendable, Hashable {
    public let request: Int64
    /// The kernel's boot id.
    public let boot: String
    public let runs: Bool

    public init(_ run: DeviceAppRun, boot: String, before: DeviceAppStart?) {
        request = run.request
        self.boot = boot
        if let before, before.request == run.request {
            runs = before.boot == boot ? before.runs : run.startsOnBoot
        } else {
            runs = run.isWanted
        }
    }

    public var json: JSON { ["request": .int(request), "boot": .string(boot), "runs": .bool(runs)] }

    public init(_ reader: DocumentReader) throws(ValidationError) {
        request = try reader.required("request").int()
        boot = try reader.required("boot").string()
        runs = try reader.required("runs").bool()
    }
}
