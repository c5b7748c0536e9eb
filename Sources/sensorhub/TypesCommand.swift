import ArgumentParser
import SimdJSON

struct TypesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "types", abstract: "Sensor types: what the readings of a kind of sensor look like.",
        subcommands: [Register.self, List.self, Show.self, Retention.self])

    struct Register: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Register the types of a file.",
            discussion:
                "The file is as sensorTypeRegistration.json in Examples/. A type that is registered already may gain "
                + "fields, and change its control functions.")

        @Argument(help: "The file.", completion: .file(extensions: ["json"]))
        var file: String
        @OptionGroup var options: HubOptions

        func run() async throws {
            try await registerItems(of: file, service: "types", options)
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List all types.")
        @OptionGroup var options: HubOptions

        func run() async throws {
            let reply = try await options.connect().reply(to: "types", "list")
            try options.show(reply) { reply in
                var table = Table(["type", "company", "fields", "functions", "sensors", "readings"])
                for type in reply["types"]?.array ?? [] {
                    table.add([
                        type.plain("name"), type.plain("company"),
                        (type["fields"]?.object ?? [:]).keys.joined(separator: ", "),
                        (type["functions"]?.array ?? []).map { $0.plain("name") }.joined(separator: ", "),
                        type.plain("sensors"), type.plain("readings"),
                    ])
                }
                table.print(whenEmpty: "no types are registered yet: sensorhub types register FILE")
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show one type.")
        @Argument(help: "The type's name.") var name: String
        @OptionGroup var options: HubOptions

        func run() async throws {
            let reply = try await options.connect().reply(to: "types", "show", ["name": .string(name)])
            try options.show(reply) { reply in
                guard let type = reply["type"] else { return }
                print("type        \(type.plain("name"))")
                print("company     \(type.plain("company"))")
                print("fields      \(type["fields"]?.pairs ?? "")")
                for function in type["functions"]?.array ?? [] {
                    let parameters = (function["params"]?.array ?? []).map {
                        "\($0.plain("name")): \($0.plain("type"))"
                    }
                    print("function    \(function.plain("name"))(\(parameters.joined(separator: ", ")))")
                }
                print("sensors     \(type.plain("sensors"))")
                print("readings    \(type.plain("readings")), kept \(type.plain("keep"))")
                print("table       \(type.plain("table")), with names: \(type.plain("view"))")
                print("registered  \(type.time("registered_at"))")
            }
        }
    }
}

extension TypesCommand {
    struct Retention: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say how long the readings of a type are kept.",
            discussion: "Older readings are removed week by week; their hourly figures stay.")
        @Argument(help: "The type's name.") var name: String
        @Argument(help: "12h, 30d, 8w, 2y or forever.") var keep: String
        @OptionGroup var options: HubOptions

        func run() async throws {
            let reply = try await options.connect().reply(
                to: "types", "retention", ["name": .string(name), "keep": .string(keep)])
            try options.show(reply) { reply in
                let removed = reply["removed"]?.array ?? []
                print(
                    "\(name): readings are kept \(keep == "forever" ? "forever" : "for \(reply.plain("keep"))")"
                        + (removed.isEmpty ? "" : "; removed now: \(removed.count) weeks"))
            }
        }
    }
}

/// Registers the items of a file, and says of each what became of it.
func registerItems(of file: String, service: String, _ options: HubOptions) async throws {
    let document = try Document.read(file)
    let reply = try await options.connect().reply(
        to: service, "register", ["document": document], timeout: .seconds(60))
    if options.json {
        return try options.show(reply) { _ in }
    }
    guard let results = reply["results"]?.array else {
        throw CommandError("\(file): \(reply["error"]?.string ?? "refused")")
    }
    for result in results {
        let name = result.plain("name")
        switch result["status"]?.int {
        case 201: print("\(name): registered\(topics(of: result))")
        case 200: print("\(name): registered already\(result["changed"] == true ? ", changed" : "")")
        default: note("\(file): \(result.plain("error"))")
        }
    }
    let refused = results.count { ($0["status"]?.int ?? 0) >= 300 }
    if refused > 0 {
        throw CommandError(
            results.count == 1
                ? "nothing was registered" : "\(refused) of \(results.count) were refused, the others are registered")
    }
}

private func topics(of result: JSON) -> String {
    let topics = ["data_topic", "control_topic"].compactMap { result[$0]?.string }
    return topics.isEmpty ? "" : "  \(topics.joined(separator: "  "))"
}
