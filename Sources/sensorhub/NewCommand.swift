import ArgumentParser
import Embedded
import Glibc
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
            guard access(dir, F_OK) != 0 else { throw CommandError("\(dir): is there already") }
            let template = try Installation.find().examples + "/template"
            let count = try copy(template, to: dir) { $0.replacing("MyApp", with: name) }
            print("\(dir): \(count) files; \(dir)/README.md says how to go on")
        }

        /// Copies a folder of text files.
        private func copy(_ source: String, to target: String, _ change: (String) -> String) throws -> Int {
            guard let directory = opendir(source) else { throw FileError(path: source, code: errno) }
            defer { closedir(directory) }
            guard mkdir(target, 0o777) == 0 else { throw FileError(path: target, code: errno) }
            var count = 0
            while let entry = readdir(directory) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if name.hasPrefix(".") || name == "__pycache__" { continue }
                if entry.pointee.d_type == UInt8(DT_DIR) {
                    count += try copy("\(source)/\(name)", to: "\(target)/\(name)", change)
                } else {
                    let text = String(decoding: try readFile("\(source)/\(name)"), as: UTF8.self)
                    try write(Array(change(text).utf8), to: "\(target)/\(name)")
                    count += 1
                }
            }
            return count
        }

        private func write(_ bytes: [UInt8], to path: String) throws {
            guard let file = fopen(path, "wxe") else { throw FileError(path: path, code: errno) }
            let written = fwrite(bytes, 1, bytes.count, file)
            guard fclose(file) == 0, written == bytes.count else { throw FileError(path: path, code: errno) }
        }
    }
}
