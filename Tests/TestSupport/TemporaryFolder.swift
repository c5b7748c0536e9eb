import Files
import Glibc

/// A folder for one test, gone with it. Services run as accounts of their own where the tests run as root, so others may
/// pass through it.
public final class TemporaryFolder: Sendable {
    public let path: String

    public init() {
        let template = strdup("/tmp/sh-XXXXXX")!
        defer { free(template) }
        guard mkdtemp(template) != nil else { fatalError("\(FileError("/tmp"))") }
        path = String(cString: template)
        chmod(path, 0o755)
    }

    deinit { try? Folder.remove(path) }

    /// Writes a file, and the folders that it is in.
    public func write(_ name: String, _ text: String) throws {
        try makeFolder(Folder.parent(of: name))
        try File.replace("\(path)/\(name)", with: text.utf8, mode: 0o644)
    }

    public func makeFolder(_ name: String) throws {
        try Folder.make("\(path)/\(name)", mode: 0o755)
    }
}
