import Glibc
import SensorKit

/// A folder with files, which is removed with everything in it when nobody holds it any more.
final class FileTree {
    let path: String
    private var created: [String] = []

    /// - Parameter files: contents by path.
    init(_ files: [String: String]) throws {
        var template = Array("/tmp/drivers-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw FileError("/tmp", errno) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        created.append(path)
        for (name, text) in files {
            var current = path
            let parts = name.split(separator: "/")
            for part in parts.dropLast() {
                current += "/\(part)"
                if mkdir(current, 0o700) == 0 { created.append(current) }
            }
            current += "/\(parts.last!)"
            guard let file = fopen(current, "w") else { throw FileError(current, errno) }
            fputs(text, file)
            fclose(file)
            created.append(current)
        }
    }

    deinit {
        for path in created.reversed() { remove(path) }
    }
}
