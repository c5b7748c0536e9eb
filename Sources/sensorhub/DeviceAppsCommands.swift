import ArgumentParser
import HubModel
import SimdJSON

/// Which device an app is on, and which app.
struct DeviceAppOptions: ParsableArguments {
    @Argument(help: "The app's id.") var appID: String
    @Option(help: ArgumentHelp("The node that it is on.", valueName: "id")) var node: String
    @OptionGroup var options: HubOptions

    /// Asks for a service, and prints `done` where it is done, `underway` where the device still works on it.
    ///
    /// - Parameter waiting: what is waited for, which may take 15 s.
    func request(
        _ service: DeviceService, _ more: JSONObject = [:], waiting: String, done: String, underway: String
    ) async throws {
        var progress = ProgressLine()
        progress.show("\(appID): waiting for \(waiting) …")
        defer { progress.clear() }
        var parameters: JSONObject = ["node": .string(node), "app_id": .string(appID)]
        for member in more { parameters[member.key] = member.value }
        let reply = try await options.connect().reply(
            to: "devices", service.rawValue, parameters, timeout: .seconds(120))
        progress.clear()
        try options.show(reply) { reply in
            guard reply["status"]?.int == 202 else { return print("\(appID): \(done)") }
            let process = reply["process"] ?? [:]
            print("\(appID): \(underway); it is \(process.plain("state")): \(process.plain("reason"))")
        }
    }
}

/// What an app is told at its start.
struct AppArgumentOptions: ParsableArguments {
    @Option(
        name: .customLong("set"), parsing: .singleValue,
        help: ArgumentHelp(
            "A value for a parameter of init.conf: speed=2. What reads as JSON is taken so, else as text.",
            valueName: "name=value"))
    var values: [String] = []

    @Argument(parsing: .postTerminator, help: "Words for the app's command line, after '--'.") var words: [String] = []

    var json: JSON {
        get throws {
            guard !values.isEmpty else { return .array(words.map { .string($0) }) }
            guard words.isEmpty else { throw ValidationError("give either --set or words after '--'") }
            var object: JSONObject = [:]
            for value in values {
                let parts = value.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                guard parts.count == 2, !parts[0].isEmpty else {
                    throw ValidationError("'\(value)' is not NAME=VALUE")
                }
                object[String(parts[0])] = (try? JSON(parsing: String(parts[1]))) ?? .string(String(parts[1]))
            }
            return .object(object)
        }
    }

    private typealias ValidationError = ArgumentParser.ValidationError
}

extension AppsCommand {
    struct Start: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Start an app that is installed on a node.")
        @OptionGroup var app: DeviceAppOptions
        @OptionGroup var arguments: AppArgumentOptions

        func run() async throws {
            try await app.request(
                .startApp, ["app_args": try arguments.json], waiting: "its start", done: "runs on \(app.node)",
                underway: "is to run on \(app.node)")
        }
    }

    struct Stop: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Stop an app that runs on a node.")
        @OptionGroup var app: DeviceAppOptions

        func run() async throws {
            try await app.request(
                .stopApp, waiting: "its end", done: "stopped on \(app.node)", underway: "is to stop on \(app.node)")
        }
    }

    struct FastDeploy: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Install an app on a node, start it, and remove it when it has ended.")
        @OptionGroup var app: DeviceAppOptions
        @Argument(help: "The archive, or the folder.", completion: .file()) var archive: String
        @Option(help: ArgumentHelp("Its runtime, such as py3; else what app.info says.", valueName: "type"))
        var type: String?
        @OptionGroup var arguments: AppArgumentOptions

        func run() async throws {
            var more: JSONObject = [
                "app_tarball": .string(Base64.encode(try AppFile.read(archive))), "app_args": try arguments.json,
            ]
            if let type { more["app_type"] = .string(type) }
            try await app.request(
                .fastDeploy, more, waiting: "its start", done: "runs on \(app.node), once",
                underway: "is to run on \(app.node), once")
        }
    }

    struct Running: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the apps that run on a node.")
        @Option(help: ArgumentHelp("The node.", valueName: "id")) var node: String
        @OptionGroup var options: HubOptions

        func run() async throws {
            try await AppsCommand.list(.runningApps, on: node, options)
        }
    }

    /// Prints the apps of a node.
    static func list(_ service: DeviceService, on node: String, _ options: HubOptions) async throws {
        let reply = try await options.connect().reply(to: "devices", service.rawValue, ["node": .string(node)])
        try options.show(reply) { reply in
            var table = Table(["app", "type", "state", "pid", "id", "version", "name", "reason"])
            for app in reply["apps"]?.array ?? [] {
                let process = app["process"] ?? [:], info = app["info"] ?? [:]
                table.add([
                    app.plain("name"), app.plain("type"), process.plain("state"), process.plain("pid"),
                    process.plain("instance"), info.plain("version"), info.plain("name"), process.plain("reason"),
                ])
            }
            table.print(
                whenEmpty: service == .apps
                    ? "no apps are installed on \(node): sensorhub apps install APP_ID FILE --node \(node) --type py3"
                    : "no apps run on \(node)")
        }
    }
}
