import ArgumentParser
import Embedded
import Files
import HubModel

struct NewCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "new", abstract: "Begin something of your own from a template.", subcommands: [App.self])

    struct App: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a folder with a working app: an algorithm, a simulated sensor to try it on, and all files.",
            discussion: "The app is named as the folder.")
        @Argument(help: "The folder to make.") var dir: String

        func run() async throws {
            let name = String(dir.split(separator: "/").last ?? "")
            guard Identifier(name) != nil else {
                throw ValidationError("'\(name)' cannot be the app's id: \(Identifier.rule)")
            }
            guard !File.exists(dir) else { throw CommandError("\(dir): is there already") }
            let template = try Installation.find().examples + "/template"
            let count = try copy(template, to: dir) { $0.replacing("MyApp", with: name) }
            print("\(dir): \(count) files; \(dir)/README.md says how to go on")
        }

        /// Copies a folder of text files.
        private func copy(_ source: String, to target: String, _ change: (String) -> String) throws -> Int {
            try Folder.make(target, mode: 0o755)
            var count = 0
            for name in try Folder.names(in: source) where !name.hasPrefix(".") && name != "__pycache__" {
                if File.isFolder("\(source)/\(name)") {
                    count += try copy("\(source)/\(name)", to: "\(target)/\(name)", change)
                } else {
                    let text = change(try File.text(of: "\(source)/\(name)"))
                    try File.replace("\(target)/\(name)", with: text.utf8, mode: 0o644)
                    count += 1
                }
            }
            return count
        }
    }
}
