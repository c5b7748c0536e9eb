public import SimdJSON

/// How the apps of devices are reached and what is told of them, the same for all devices; see docs/device-apps.md.
public struct DeviceSettings: Sendable, Hashable {
    /// A message that is published when an app starts or stops.
    public struct Announcement: Sendable, Hashable {
        public enum Occasion: String, Sendable, CaseIterable {
            case started, stopped
        }

        public let occasion: Occasion
        public let topic: TopicTemplate
        /// Text, or JSON whose texts are templates.
        public let payload: JSON
    }

    /// What devices are asked; each service has one topic or several.
    public var services: [DeviceService: [TopicTemplate]]
    /// What devices tell.
    public var reports: [DeviceReport: TopicTemplate]
    /// Zero for none.
    public var heartbeatSeconds: Int64
    public var publishes: DeviceAppRun.Publishing
    public var announcements: [Announcement]

    /// The names and topics that device-app-manager has, where a dot of a name is a slash of a topic.
    public static let standard = try! DeviceSettings(DocumentReader([:]))

    /// Reads a document; what it does not say is as in `standard`.
    public init(_ reader: DocumentReader) throws(ValidationError) {
        try reader.allowOnly(["topics", "heartbeat_seconds", "publish", "announcements"])
        heartbeatSeconds = try reader.optional("heartbeat_seconds")?.int(0...86_400) ?? 10
        publishes =
            try reader.optional("publish").map { (publish) throws(ValidationError) in
                try DeviceAppRun.Publishing(publish)
            } ?? DeviceAppRun.Publishing()

        let topics = try reader.optional("topics")
        let names = DeviceService.allCases.map(\.rawValue) + DeviceReport.allCases.map(\.rawValue)
        try topics?.allowOnly(["namespace"] + names)
        let namespace = try topics?.optional("namespace")?.nonEmptyString() ?? "thing/{DEVICE_ID}/app_manager"
        var services: [DeviceService: [TopicTemplate]] = [:]
        for service in DeviceService.allCases {
            services[service] = try Self.service(service, topics, namespace)
        }
        var reports: [DeviceReport: TopicTemplate] = [:]
        for report in DeviceReport.allCases {
            let member = try topics?.optional(report.rawValue)
            let place = member ?? topics ?? reader
            let text = try member?.string() ?? "\(namespace)/\(report.standardName)"
            reports[report] = try TopicTemplate(text, needs: report.placeholders, place)
        }
        self.services = services
        self.reports = reports
        announcements = []
        for item in try reader.optional("announcements")?.items() ?? [] { announcements.append(try Announcement(item)) }
        let all = services.values.joined() + Array(reports.values)
        for (index, template) in all.enumerated() where all.prefix(index).contains(template) {
            throw (topics ?? reader).error("'\(template.text)' is the topic of two things")
        }
    }

    private static func service(
        _ service: DeviceService, _ topics: DocumentReader?, _ namespace: String
    ) throws(ValidationError) -> [TopicTemplate] {
        guard let member = try topics?.optional(service.rawValue) else {
            var templates: [TopicTemplate] = []
            for name in service.standardNames {
                let place = topics ?? DocumentReader([:])
                templates.append(try TopicTemplate("\(namespace)/\(name)", needs: ["DEVICE_ID"], place))
            }
            return templates
        }
        var templates: [TopicTemplate] = []
        for item in member.value.array == nil ? [member] : try member.items() {
            templates.append(try TopicTemplate(try item.string(), needs: ["DEVICE_ID"], item))
        }
        return templates
    }

    public var json: JSON {
        var topics: JSONObject = [:]
        for service in DeviceService.allCases {
            topics[service.rawValue] = .array((services[service] ?? []).map { .string($0.text) })
        }
        for report in DeviceReport.allCases { topics[report.rawValue] = .string(reports[report]!.text) }
        return [
            "topics": .object(topics), "heartbeat_seconds": .int(heartbeatSeconds), "publish": publishes.json,
            "announcements": .array(announcements.map(\.json)),
        ]
    }

    /// Which service of which device a topic is about.
    ///
    /// - Returns: nil for a topic of something else. `app` is there where the topic names one: that is how an archive is
    ///   sent as it is.
    public func request(_ topic: String) -> (service: DeviceService, device: String, app: String?)? {
        for service in DeviceService.allCases {
            for template in services[service] ?? [] {
                if let values = template.match(topic), let device = values["DEVICE_ID"] {
                    return (service, device, nil)
                }
                guard service.takesArchive, let slash = topic.lastIndex(of: "/"),
                    let values = template.match(String(topic[..<slash])), let device = values["DEVICE_ID"]
                else { continue }
                return (service, device, String(topic[topic.index(after: slash)...]))
            }
        }
        return nil
    }

    /// Filters for all requests.
    public var requestFilters: [String] {
        DeviceService.allCases.flatMap { service in
            (services[service] ?? []).flatMap { template in
                service.takesArchive ? [template.filter(), template.filter() + "/+"] : [template.filter()]
            }
        }
    }
}

/// What a device is asked for.
public enum DeviceService: String, Sendable, CaseIterable {
    case installApp = "install_app"
    case startApp = "start_app"
    case stopApp = "stop_app"
    case deleteApp = "delete_app"
    case apps
    case runningApps = "apps.running"
    case isAlive = "is_alive"
    case fastDeploy = "fast_deploy"
    case appPage = "app_page"

    /// True where a request may be the archive itself.
    public var takesArchive: Bool { self == .installApp || self == .fastDeploy }

    /// False where it is only asked how things are.
    public var changesDevice: Bool {
        switch self {
        case .installApp, .startApp, .stopApp, .deleteApp, .fastDeploy: true
        case .apps, .runningApps, .isAlive, .appPage: false
        }
    }

    fileprivate var standardNames: [String] {
        self == .runningApps ? ["apps/running", "apps.running"] : [rawValue]
    }
}

/// What a device tells.
public enum DeviceReport: String, Sendable, CaseIterable {
    case heartbeat, connected, disconnected
    case appStarted = "app_started"
    case appStopped = "app_stopped"
    case appLogs = "app_logs"
    case appStatistics = "app_stats"

    public var isOfApp: Bool {
        switch self {
        case .heartbeat, .connected, .disconnected: false
        case .appStarted, .appStopped, .appLogs, .appStatistics: true
        }
    }

    fileprivate var placeholders: [String] { isOfApp ? ["DEVICE_ID", "APP_ID"] : ["DEVICE_ID"] }

    fileprivate var standardName: String {
        switch self {
        case .heartbeat, .connected, .disconnected: rawValue
        case .appStarted: "app/{APP_ID}/started"
        case .appStopped: "app/{APP_ID}/stopped"
        case .appLogs: "app/{APP_ID}/logs"
        case .appStatistics: "app/{APP_ID}/stats"
        }
    }
}

extension DeviceSettings.Announcement {
    fileprivate init(_ reader: DocumentReader) throws(ValidationError) {
        try reader.allowOnly(["on", "topic", "payload"])
        let word = try reader.required("on")
        guard let occasion = Occasion(rawValue: try word.string()) else {
            throw word.error("must be 'started' or 'stopped'")
        }
        self.occasion = occasion
        let topic = try reader.required("topic")
        self.topic = try TopicTemplate(try topic.string(), announcedAt: topic)
        payload = try reader.required("payload").value
    }

    fileprivate var json: JSON {
        ["on": .string(occasion.rawValue), "topic": .string(topic.text), "payload": payload]
    }

    /// The payload with what its placeholders stand for: a text as it is, anything else as JSON.
    public func payload(_ values: [String: String]) -> [UInt8] {
        let filled = Self.fill(payload, values)
        return filled.string.map { Array($0.utf8) } ?? filled.bytes()
    }

    private static func fill(_ value: JSON, _ values: [String: String]) -> JSON {
        switch value {
        case .string(let text): .string(fillPlaceholders(text) { values[String($0)] })
        case .array(let items): .array(items.map { fill($0, values) })
        case .object(let object): .object(JSONObject(object.map { ($0.key, fill($0.value, values)) }))
        default: value
        }
    }
}
