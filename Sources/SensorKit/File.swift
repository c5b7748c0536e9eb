import Glibc

/// A file or folder that could not be read or written.
public struct FileError: Error, Hashable, CustomStringConvertible {
    public let path: String
    /// From `errno`.
    public let code: Int32

    public init(_ path: String, _ code: Int32) {
        self.path = path
        self.code = code
    }

    public var isNotFound: Bool { code == ENOENT }

    public var description: String { "\(path): \(String(cString: strerror(code)))" }
}

/// Files as drivers need them: the small ones under /proc and /sys, which say their content anew at each opening.
public enum File {
    /// The first `limit` bytes.
    public static func bytes(of path: String, limit: Int = 1 << 16) throws(FileError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(path, errno) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: min(limit, 4_096))
        while bytes.count < limit {
            let count = Glibc.read(descriptor, &chunk, min(chunk.count, limit - bytes.count))
            if count == -1, errno == EINTR { continue }
            guard count >= 0 else { throw FileError(path, errno) }
            if count == 0 { break }
            bytes.append(contentsOf: chunk[..<count])
        }
        return bytes
    }

    /// The first `limit` bytes as text.
    public static func text(of path: String, limit: Int = 1 << 16) throws(FileError) -> String {
        String(decoding: try bytes(of: path, limit: limit), as: UTF8.self)
    }

    /// The names in a folder, without those that begin with a dot; empty where there is no such folder.
    public static func names(in folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = Glibc.readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { name in
                name.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }

    /// Puts `text` into a file so that a power cut leaves the old content or the new one.
    static func replace(_ path: String, with text: String) throws(FileError) {
        let new = "\(path).new"
        let descriptor = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw FileError(new, errno) }
        let bytes = Array(text.utf8)
        let isWritten = write(descriptor, bytes, bytes.count) == bytes.count && fsync(descriptor) == 0
        let code = errno
        close(descriptor)
        guard isWritten else { throw FileError(new, code) }
        guard rename(new, path) == 0 else { throw FileError(path, errno) }
    }
}
