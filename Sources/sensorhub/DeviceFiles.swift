import Embedded
import Files
import HubModel
import SimdJSON

/// What a hub reads about the apps of devices: its own runtimes, and those and the settings that a person has added.
enum DeviceFiles {
    private static let limit = 1 << 20

    /// - Parameter path: of a JSON file; nil for the standard settings.
    /// - Throws: `CommandError` with the file and the place in it.
    static func settings(_ path: String?) throws -> DeviceSettings {
        guard let path else { return .standard }
        return try read(path) { try DeviceSettings($0) }
    }

    /// The declared runtimes by name; one of `folder` takes the place of ours of the same name.
    ///
    /// - Parameter folder: with a JSON file for each runtime.
    static func runtimes(_ installation: Installation, folder: String?) throws -> [Identifier: Runtime] {
        var runtimes: [Identifier: Runtime] = [:]
        for folder in [installation.runtimes, folder].compactMap({ $0 }) {
            let names: [String]
            do { names = try Folder.names(in: folder) } catch { throw CommandError("\(error)") }
            var seen: [Identifier: String] = [:]
            for name in names.sorted() where name.hasSuffix(".json") && !name.hasPrefix(".") {
                let runtime = try read("\(folder)/\(name)") { try Runtime($0) }
                if let other = seen.updateValue(name, forKey: runtime.name) {
                    throw CommandError("\(folder): '\(other)' and '\(name)' both declare the runtime '\(runtime.name)'")
                }
                runtimes[runtime.name] = runtime
            }
        }
        return runtimes
    }

    private static func read<Value>(_ path: String, _ body: (DocumentReader) throws -> Value) throws -> Value {
        do {
            return try body(DocumentReader(JSON(parsing: File.bytes(of: path, limit: limit))))
        } catch let error as FileError {
            throw CommandError("\(error)")
        } catch {
            throw CommandError("\(path): \(error)")
        }
    }
}
