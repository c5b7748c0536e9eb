import Glibc

@testable import Embedded

/// A folder for one test, gone with it. Services run as accounts of their own where the tests run as root, so others may
/// pass through it.
final class TemporaryFolder: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/sh-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { fatalError("no folder under /tmp: \(String(cString: strerror(errno)))") }
        path = String(cString: made)
        chmod(path, 0o755)
    }

    deinit {
        Self.removeAll(path)
    }

    private static func removeAll(_ path: String) {
        // Fails for a folder that is not empty, and follows no link.
        guard remove(path) != 0, errno == ENOTEMPTY || errno == EEXIST else { return }
        for name in names(in: path) { removeAll("\(path)/\(name)") }
        remove(path)
    }

    func write(_ name: String, _ text: String) {
        let file = fopen("\(path)/\(name)", "w")!
        fputs(text, file)
        fclose(file)
    }

    func makeFolder(_ name: String) {
        var built = path
        for part in name.split(separator: "/") {
            built += "/\(part)"
            mkdir(built, 0o755)
        }
    }
}

/// The folder with schema.sql, mosquitto.conf and all the rest.
let checkout = parent(of: parent(of: parent(of: #filePath)))
