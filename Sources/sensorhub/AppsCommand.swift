import Archive
import ArgumentParser
import Files
import HubModel
import SimdJSON

struct AppsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apps", abstract: "Apps: install, list, delete; on a node also start and stop.",
        subcommands: [
            Install.self, List.self, Delete.self, Start.self, Stop.self, Running.self, FastDeploy.self,
        ])

    struct Install: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Install an app from a zip or tar.gz, or from its folder.",
            discussion:
                "The archive has appConfig.json and the scripts at its top level. Installing an app again is an "
                + "update: instances that run go on with the version they have. With --node it is an app of that device, "
                + "with the files that its type needs instead of appConfig.json; see docs/device-apps.md.")
        @Argument(help: "The app's id, as in appConfig.json.") var appID: String
        @Argument(help: "The archive, or the folder.", completion: .file()) var zip: String
        @Option(help: ArgumentHelp("The node that it is to run on, as an app of a device.", valueName: "id"))
        var node: String?
        @Option(
            help: ArgumentHelp("With --node: its runtime, such as py3; else what app.info says.", valueName: "type"))
        var type: String?
        @OptionGroup var options: HubOptions

        func validate() throws {
            if type != nil, node == nil {
                throw ArgumentParser.ValidationError("--type is for an app of a device: give --node as well")
            }
        }

        func run() async throws {
            var progress = ProgressLine()
            progress.show("reading \(zip) …")
            let bytes = try AppFile.read(zip)
            progress.show("uploading \((bytes.count + 1_023) / 1_024) KiB …")
            defer { progress.clear() }
            if let node {
                var parameters: JSONObject = [
                    "node": .string(node), "app_id": .string(appID), "app_tarball": .string(Base64.encode(bytes)),
                ]
                if let type { parameters["app_type"] = .string(type) }
                let reply = try await options.connect().reply(
                    to: "devices", DeviceService.installApp.rawValue, parameters, timeout: .seconds(120))
                progress.clear()
                if !options.json, reply["status"]?.int != 200, let error = reply["error"]?.string {
                    throw CommandError("\(zip): \(error)")
                }
                return try options.show(reply) { _ in print("\(appID): installed on \(node)") }
            }
            let reply = try await options.connect().reply(
                to: "apps", "install", ["app_id": .string(appID), "archive": .string(Base64.encode(bytes))],
                timeout: .seconds(120))
            progress.clear()
            if !options.json, let error = reply["error"]?.string { throw CommandError("\(zip): \(error)") }
            try options.show(reply) { reply in
                let algorithms = reply["algorithms"]?.plain ?? ""
                print(
                    "\(appID): \(reply["changed"] == true ? "installed" : "installed already"), version "
                        + "\(reply.plain("version").prefix(12)), algorithms: \(algorithms)")
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List installed apps.")
        @Option(help: ArgumentHelp("List those of this device.", valueName: "id")) var node: String?
        @OptionGroup var options: HubOptions

        func run() async throws {
            if let node { return try await AppsCommand.list(.apps, on: node, options) }
            let reply = try await options.connect().reply(to: "apps", "list")
            try options.show(reply) { reply in
                var table = Table([
                    "app", "name", "developer", "version", "kib", "instances", "installed", "algorithms",
                ])
                for app in reply["apps"]?.array ?? [] {
                    table.add([
                        app.plain("app_id"), app.plain("name"), app.plain("developer"),
                        String(app.plain("version").prefix(12)),
                        String(((app["bytes"]?.int ?? 0) + 1_023) / 1_024), app.plain("instances"),
                        app.time("installed_at"),
                        app.plain("algorithms"),
                    ])
                }
                table.print(whenEmpty: "no apps are installed yet: sensorhub apps install APP_ID ZIP")
            }
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Delete an app that has no running instances.")
        @Argument(help: "The app's id.") var appID: String
        @Option(help: ArgumentHelp("The device that it is on; it is stopped there.", valueName: "id")) var node: String?
        @OptionGroup var options: HubOptions

        func run() async throws {
            if let node {
                let reply = try await options.connect().reply(
                    to: "devices", DeviceService.deleteApp.rawValue,
                    ["node": .string(node), "app_id": .string(appID)])
                return try options.show(reply) { reply in
                    print(
                        "\(appID): deleted from \(node)"
                            + (reply["status"]?.int == 202 ? "; it may run on there until that is online again" : ""))
                }
            }
            let reply = try await options.connect().reply(to: "apps", "delete", ["app_id": .string(appID)])
            try options.show(reply) { _ in print("\(appID): deleted; what it did stays on record") }
        }
    }
}

/// The archive of an app, as a person names it.
enum AppFile {
    private static let limit = 32 << 20

    /// - Parameter path: of a zip, a tar.gz or a folder.
    static func read(_ path: String) throws -> [UInt8] {
        let bytes: [UInt8]
        do {
            bytes =
                File.isFolder(path) ? try AppArchive.make(from: path) : try File.beginning(of: path, limit: limit + 1)
        } catch {
            throw CommandError("\(error)")
        }
        guard bytes.count <= limit else { throw CommandError("\(path): larger than \(limit >> 20) MiB") }
        return bytes
    }
}
