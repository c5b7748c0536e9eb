import ArgumentParser
import SimdJSON

struct SensorsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sensors", abstract: "Sensors: register, list, remove; credentials for devices that are not ours.",
        subcommands: [Register.self, List.self, Show.self, Remove.self, Credentials.self])

    struct Register: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Register the sensors of a file, and start their drivers.",
            discussion:
                "The file is as sensorInstance.json in Examples/. A sensor that is registered already and is the "
                + "same is left as it is.")
        @Argument(help: "The file.", completion: .file(extensions: ["json"]))
        var file: String
        @OptionGroup var options: HubOptions

        func run() async throws {
            try await registerItems(of: file, service: "sensors", options)
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List sensors.")
        @Option(help: "Only those of this type.") var type: String?
        @Option(
            name: .customLong("where"),
            help: ArgumentHelp(
                "Only those with this attribute, such as placeholder=bus; may be given more than once.",
                valueName: "key=value"))
        var filters: [String] = []
        @OptionGroup var options: HubOptions

        func run() async throws {
            var parameters = JSONObject()
            if let type { parameters["type"] = .string(type) }
            if !filters.isEmpty { parameters["where"] = .object(try assignments(filters) { _, text in literal(text) }) }
            let reply = try await options.connect().reply(to: "sensors", "list", parameters)
            try options.show(reply) { reply in
                var table = Table(["sensor", "type", "state", "last reading", "node", "driver", "attributes"])
                for sensor in reply["sensors"]?.array ?? [] {
                    let reason = sensor.plain("reason")
                    table.add([
                        sensor.plain("name"), sensor.plain("type"),
                        sensor.plain("state") + (sensor["state"] == "fault" && !reason.isEmpty ? " (\(reason))" : ""),
                        sensor.time("last_reading_at"), sensor.plain("node"),
                        sensor.plain("driver"),
                        shortPairs(sensor["attributes"]?.object ?? [:]),
                    ])
                }
                table.print(
                    whenEmpty: filters.isEmpty && type == nil
                        ? "no sensors are registered yet: sensorhub sensors register FILE" : "no sensor is like that")
            }
        }

        /// Attributes that fit into a line; those that are structures are only named.
        private func shortPairs(_ attributes: JSONObject) -> String {
            attributes.map { member in
                member.value.object != nil ? "\(member.key)={…}" : "\(member.key)=\(member.value.plain)"
            }.joined(separator: " ")
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show one sensor.")
        @Argument(help: "The sensor's id.") var id: String
        @OptionGroup var options: HubOptions

        func run() async throws {
            let reply = try await options.connect().reply(to: "sensors", "show", ["name": .string(id)])
            try options.show(reply) { reply in
                let sensor = reply["sensor"] ?? [:]
                for member in sensor.object ?? [:] where member.value != .null {
                    let label = member.key.replacing("_", with: " ")
                    let value = member.key.hasSuffix("_at") ? sensor.time(member.key) : member.value.plain
                    print(label + String(repeating: " ", count: max(1, 17 - label.count)) + value)
                }
            }
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a sensor: its driver stops, its rights end, its readings stay.")
        @Argument(help: "The sensor's id.") var id: String
        @OptionGroup var options: HubOptions

        func run() async throws {
            let reply = try await options.connect().reply(to: "sensors", "remove", ["name": .string(id)])
            try options.show(reply) { _ in print("\(id): removed; its readings stay") }
        }
    }

    struct Credentials: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "How a device that is not ours publishes as this sensor.",
            discussion:
                "The password is shown when it is made, and never again; --rotate makes a new one, and the old one "
                + "ends at once.")
        @Argument(help: "The sensor's id.") var id: String
        @Flag(help: "Make a new password.") var rotate = false
        @OptionGroup var options: HubOptions

        func run() async throws {
            let reply = try await options.connect().reply(
                to: "sensors", "credentials", ["name": .string(id), "rotate": .bool(rotate)])
            try options.show(reply) { reply in
                let brokers = reply["brokers"]?.array ?? []
                for broker in brokers { print("broker      \(Self.place(broker))") }
                print("user        \(reply.plain("user"))")
                print(
                    "password    \(reply["password"]?.string ?? "was shown when it was made; --rotate makes a new one")"
                )
                print("publish to  \(reply.plain("data_topic"))")
                if let topic = reply["control_topic"]?.string { print("listen to   \(topic)") }
                if let topic = reply["reply_topic"]?.string { print("reply to    \(topic)") }
                guard let password = reply["password"]?.string, let broker = brokers.first else { return }
                print("\nTo try it:")
                print(
                    "mosquitto_pub -V mqttv5 \(Self.options(broker)) -u \(reply.plain("user")) -P \(password) -q 1 "
                        + "-t \(reply.plain("data_topic")) -m '\(reply["example"]?.text() ?? "{}")'")
            }
        }

        /// One of the reply's brokers, for people.
        private static func place(_ broker: JSON) -> String {
            broker["socket"] != nil
                ? "socket \(broker.plain("socket"))" : "\(broker.plain("host")), port \(broker.plain("port"))"
        }

        /// The options of mosquitto_pub for it.
        private static func options(_ broker: JSON) -> String {
            broker["socket"] != nil
                ? "--unix '\(broker.plain("socket"))'" : "-h \(broker.plain("host")) -p \(broker.plain("port"))"
        }
    }
}

/// Reads `name=value` words.
func assignments(
    _ words: [String], value: (_ name: String, _ text: String) throws -> JSON
) throws -> JSONObject {
    var object = JSONObject()
    for word in words {
        guard let equals = word.firstIndex(of: "="), equals != word.startIndex else {
            throw ValidationError("'\(word)' is not of the form name=value")
        }
        let name = String(word[..<equals])
        guard object[name] == nil else { throw ValidationError("'\(name)' is given twice") }
        object[name] = try value(name, String(word[word.index(after: equals)...]))
    }
    return object
}

/// What a person means by a value: a number, true, false, a structure, or else text.
func literal(_ text: String) -> JSON {
    (try? JSON(parsing: text)) ?? .string(text)
}
