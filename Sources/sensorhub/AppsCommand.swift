import Archive
import ArgumentParser
import Files
import HubModel
import SimdJSON

struct AppsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apps", abstract: "Apps: install, list, delete.",
        subcommands: [Install.self, List.self, Delete.self])

    struct Install: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Install an app from a zip or tar.gz, or from its folder.",
            discussion:
                "The archive has appConfig.json and the scripts at its top level. Installing an app again is an "
                + "update: instances that run go on with the version they have.")
        @Argument(help: "The app's id, as in appConfig.json.") var appID: String
        @Argument(help: "The archive, or the folder.", completion: .file()) var zip: String
        @OptionGroup var options: HubOptions

        func run() async throws {
            var progress = ProgressLine()
            progress.show("reading \(zip) …")
            let bytes = try archive()
            progress.show("uploading \((bytes.count + 1_023) / 1_024) KiB …")
            defer { progress.clear() }
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

        private func archive() throws -> [UInt8] {
            let limit = 32 << 20
            let bytes: [UInt8]
            do {
                bytes =
                    File.isFolder(zip) ? try AppArchive.make(from: zip) : try File.beginning(of: zip, limit: limit + 1)
            } catch {
                throw CommandError("\(error)")
            }
            guard bytes.count <= limit else { throw CommandError("\(zip): larger than \(limit >> 20) MiB") }
            return bytes
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List installed apps.")
        @OptionGroup var options: HubOptions

        func run() async throws {
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
                        app.plain("installed_at"),
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
        @OptionGroup var options: HubOptions

        func run() async throws {
            let reply = try await options.connect().reply(to: "apps", "delete", ["app_id": .string(appID)])
            try options.show(reply) { _ in print("\(appID): deleted; what it did stays on record") }
        }
    }
}
