import HubModel

/// mosquitto's `acl_file`: who may read and write which topics; see docs/topics.md.
struct AccessList {
    /// What a user needs beyond what its kind always has.
    enum Grant: Hashable {
        /// An algorithm instance; once for each sensor that it is bound to, or once without.
        case algorithm(Identifier, app: Identifier, sensor: Identifier?)
        /// An algorithm instance publishes readings of this sensor.
        case writing(Identifier, sensor: Identifier, isControlled: Bool)
        /// A node tells what a program on it does and prints.
        case output(ProgramID, node: Identifier)
        /// An algorithm instance may have commands run.
        case commanding(Identifier)
        /// An algorithm instance has had this command run.
        case command(Identifier, of: Identifier)
    }

    let text: String

    /// - Parameter users: those that the broker knows; the others get no lines.
    init(hub: Identifier, users: [BrokerUser], grants: [Grant], devices: DeviceSettings = .standard) {
        let topics = Topics(hub: hub)
        var lines = ["# Written by the hub: changes here are lost."]
        lines += Self.sensorPatterns(topics)
        var extra: [BrokerUser: [String]] = [:]
        for grant in grants {
            for (user, line) in Self.lines(grant, topics) { extra[user, default: []].append(line) }
        }
        for user in users {
            let own = Self.lines(user, topics) + Self.lines(user, devices)
            guard !own.isEmpty else { continue }
            lines += ["", "user \(user)"] + own + unique(extra[user] ?? [])
        }
        text = lines.joined(separator: "\n") + "\n"
    }

    /// A sensor's rights follow from its name, which is its user name, so no sensor needs lines of its own. Every other
    /// user name has a dot in it, so that these patterns name no topic for it.
    private static func sensorPatterns(_ topics: Topics) -> [String] {
        [
            "pattern write \(topics.sensor("%u", .data))",
            "pattern write \(topics.sensor("%u", .status))",
            "pattern write \(topics.sensor("%u", .reply))",
            "pattern read \(topics.sensor("%u", .control))",
            "pattern read \(topics.sensor("%u", .committed))",
            "pattern read \(topics.root)/clients/%u/#",
            // For everybody: a driver sends again what is not committed when the hub comes back. mosquitto warns of a
            // pattern without %u, and takes it.
            "pattern read \(topics.hubStatus)",
        ]
    }

    private static func lines(_ user: BrokerUser, _ topics: Topics) -> [String] {
        switch user {
        case .hub:
            ["topic readwrite \(topics.root)/#", "topic read $SYS/#"]
        case .node(let id):
            [
                "topic write \(topics.node(id.text, .status))",
                "topic write \(topics.node(id.text, .report))",
                "topic write \(topics.node(id.text, .statistics))",
                "topic read \(topics.node(id.text, .command))",
                "topic read \(topics.archive(node: id.text, sha256: "+"))",
            ]
        case .person:
            [
                "topic read \(topics.sensor("+", .data))", "topic read \(topics.sensor("+", .status))",
                "topic read \(topics.sensor("+", .reply))", "topic read \(topics.sensor("+", .committed))",
                "topic read \(topics.sensor("+", .log))", "topic read \(topics.sensor("+", .events))",
                "topic readwrite \(topics.sensor("+", .control))",
                "topic read \(topics.root)/algorithms/#",
                "topic read \(topics.root)/apps/#",
                "topic read \(topics.root)/commands/#",
                "topic read \(topics.node("+", .status))",
                "topic read \(topics.node("+", .statistics))",
                "topic read \(topics.events)",
                "topic write \(topics.request("+", "+"))",
            ]
        case .algorithm(let id):
            ["topic read \(topics.algorithm(id.text, .binding))"]
        case .sensor:
            []
        }
    }

    /// The topics of devices, which have names of their own.
    private static func lines(_ user: BrokerUser, _ devices: DeviceSettings) -> [String] {
        let services = devices.requestFilters
        let announced = devices.announcements.map(\.topic)
        switch user {
        case .hub:
            return services.map { "topic read \($0)" } + [
                "topic write \(devices.reports[.disconnected]!.filter())",
                // Replies to commlib's clients, which wait on a topic of one level; nothing else is there.
                "topic write +",
            ]
        case .node(let id):
            let values = ["DEVICE_ID": id.text]
            let told = DeviceReport.allCases.filter { $0 != .disconnected }.map { devices.reports[$0]! }
            return unique((told + announced).map { "topic write \($0.filter(values))" })
        case .person:
            return services.map { "topic write \($0)" }
                + unique(
                    (DeviceReport.allCases.map { devices.reports[$0]! } + announced).map { "topic read \($0.filter())" }
                )
                + ["topic read +"]
        case .algorithm, .sensor: return []
        }
    }

    private static func lines(_ grant: Grant, _ topics: Topics) -> [(BrokerUser, String)] {
        switch grant {
        case .algorithm(let id, let app, let sensor):
            var lines: [(BrokerUser, String)] = [(.algorithm(id), "topic write \(topics.page(of: app))")]
            if let sensor {
                for leaf in [Topics.SensorLeaf.data, .status, .reply] {
                    lines.append((.algorithm(id), "topic read \(topics.sensor(sensor.text, leaf))"))
                }
                lines.append((.algorithm(id), "topic write \(topics.sensor(sensor.text, .control))"))
            }
            return lines
        case .writing(let id, let sensor, let isControlled):
            var lines = [
                "topic write \(topics.sensor(sensor.text, .data))",
                "topic read \(topics.sensor(sensor.text, .committed))",
            ]
            if isControlled {
                lines.append("topic read \(topics.sensor(sensor.text, .control))")
                lines.append("topic write \(topics.sensor(sensor.text, .reply))")
            }
            return lines.map { (.algorithm(id), $0) }
        case .output(let program, let node):
            let names =
                switch program.kind {
                case .driver: [topics.sensor(program.id.text, .log), topics.sensor(program.id.text, .events)]
                case .algorithm: [topics.algorithm(program.id.text, .log), topics.algorithm(program.id.text, .events)]
                case .command: [topics.command(program.id.text, .log), topics.command(program.id.text, .events)]
                }
            return names.map { (.node(node), "topic write \($0)") }
        case .commanding(let id):
            return [(.algorithm(id), "topic write \(topics.request(of: id.text, "+", "+"))")]
        case .command(let command, let id):
            return [
                (.algorithm(id), "topic read \(topics.command(command.text, .log))"),
                (.algorithm(id), "topic read \(topics.command(command.text, .events))"),
            ]
        }
    }
}

private func unique(_ lines: [String]) -> [String] {
    var seen: Set<String> = []
    return lines.filter { seen.insert($0).inserted }
}
