import ArgumentParser
import Embedded
import Files
import HubModel

struct NewCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "new", abstract: "Begin something of your own from a template.",
        subcommands: [App.self, Driver.self])

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
            let count = try copyTemplate(template, to: dir) { $0.replacing("MyApp", with: name) }
            print("\(dir): \(count) files; \(dir)/README.md says how to go on")
        }
    }
}

/// Copies a folder of text files.
///
/// - Parameters:
///   - skipped: entries of the folder itself that are not copied.
///   - change: makes of a text, and of a file's name, what it is to be.
/// - Returns: how many files.
func copyTemplate(
    _ source: String, to target: String, skipping skipped: [String] = [], _ change: (String) -> String
) throws -> Int {
    try Folder.make(target, mode: 0o755)
    var count = 0
    for name in try Folder.names(in: source)
    where !name.hasPrefix(".") && name != "__pycache__" && !skipped.contains(name) {
        let copy = "\(target)/\(change(name))"
        if File.isFolder("\(source)/\(name)") {
            count += try copyTemplate("\(source)/\(name)", to: copy, change)
        } else {
            try File.replace(copy, with: change(try File.text(of: "\(source)/\(name)")).utf8, mode: 0o644)
            count += 1
        }
    }
    return count
}
