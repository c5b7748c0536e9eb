import HubModel
import SimdJSON

/// When and how an app is to run: `exec.conf`.
struct ExecutionRules: Hashable {
    static let fileName = "exec.conf"

    /// As of nice(1): 19 gives way to everybody; below 0 is for root's agents.
    var priority: Int64 = 0
    /// Not before this time, in microseconds since 1970.
    var executionTime: Int64?
    var retry = false
    /// Nil without limit.
    var maximumRetries: Int64?
    var startsOnBoot = false
    var publishes = DeviceAppRun.Publishing()
    /// Limits and isolation, in the words of a deployment.
    var conditions = RunConditions.usual

    init() {}

    init(_ file: AppConfigurationFile) throws(ValidationError) {
        try file.allowOnly([
            "priority", "execution_timestamp", "retry", "max_retries", "start_on_boot", "publish_events",
            "publish_logs", "publish_stats", "limits", "isolation",
        ])
        priority = try file.optional("priority")?.int(-20...19) ?? 0
        if let time = try file.optional("execution_timestamp") {
            let seconds = try time.double()
            if seconds != -1 {
                guard (0...4_102_444_800).contains(seconds) else {
                    throw time.error("must be -1 for at once, or seconds from 1970 to 2100")
                }
                executionTime = Int64(seconds * 1e6)
            }
        }
        retry = try file.optional("retry")?.bool() ?? false
        maximumRetries = try file.optional("max_retries")?.int(0...1_000_000)
        startsOnBoot = try file.optional("start_on_boot")?.bool() ?? false
        publishes.events = try file.optional("publish_events")?.bool() ?? true
        publishes.logs = try file.optional("publish_logs")?.bool() ?? true
        publishes.statistics = try file.optional("publish_stats")?.bool() ?? true
        var members = JSONObject()
        if let limits = try file.optional("limits") { members["limits"] = limits.value.json }
        if let isolation = try file.optional("isolation") { members["isolation"] = .bool(try isolation.bool()) }
        conditions = try RunConditions(DocumentReader(.object(members), path: file.path))
    }

    var json: JSON {
        var object: JSONObject = [
            "priority": .int(priority), "execution_timestamp": executionTime.map { .double(Double($0) / 1e6) } ?? -1,
            "retry": .bool(retry), "max_retries": maximumRetries.map { .int($0) } ?? .null,
            "start_on_boot": .bool(startsOnBoot), "publish": publishes.json,
        ]
        for member in conditions.members { object[member.key] = member.value }
        return .object(object)
    }

    /// Reads `json` back.
    init(json: DocumentReader) throws(ValidationError) {
        priority = try json.required("priority").int(-20...19)
        let time = try json.required("execution_timestamp").double()
        executionTime = time == -1 ? nil : Int64(time * 1e6)
        retry = try json.required("retry").bool()
        maximumRetries = try json.optional("max_retries")?.int()
        startsOnBoot = try json.required("start_on_boot").bool()
        publishes = try DeviceAppRun.Publishing(try json.required("publish"))
        conditions = try RunConditions(json)
    }
}
