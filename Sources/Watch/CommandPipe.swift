import Files
import Glibc
package import SimdJSON

/// A pipe in a folder on which a process is told what to do: a JSON object on a line for each command.
struct CommandPipe {
    let descriptor: Int32
    private var bytes: [UInt8] = []

    /// As much as is written to a pipe in one step (pipe(7)): commands of several senders do not mix.
    static let maximumBytes = 4_096

    init(_ path: String) throws {
        descriptor = try Self.open(path)
    }

    /// What has come since the last call. What is no JSON is passed over.
    mutating func take() -> [JSON] {
        var commands: [JSON] = []
        var chunk = [UInt8](repeating: 0, count: Self.maximumBytes)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            guard count > 0 else { return commands }
            bytes += chunk[..<count]
            while let end = bytes.firstIndex(of: UInt8(ascii: "\n")) {
                if let command = try? JSON(parsing: bytes[..<end]) { commands.append(command) }
                bytes.removeSubrange(...end)
            }
            // No command is as long.
            if bytes.count > 2 * Self.maximumBytes { bytes = [] }
        }
    }

    /// - Returns: false where nobody listens, or has too much to do.
    static func send(_ command: JSON, to path: String) -> Bool {
        guard let descriptor = listener(path) else { return false }
        defer { close(descriptor) }
        var bytes = command.bytes()
        bytes.append(UInt8(ascii: "\n"))
        return bytes.count <= maximumBytes && write(descriptor, bytes, bytes.count) == bytes.count
    }

    /// True where somebody listens.
    static func hasListener(_ path: String) -> Bool {
        guard let descriptor = listener(path) else { return false }
        close(descriptor)
        return true
    }

    private static func listener(_ path: String) -> Int32? {
        let descriptor = Glibc.open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW)
        return descriptor >= 0 ? descriptor : nil
    }

    /// Makes a pipe where there is none, and opens it in such a way that it never ends.
    static func open(_ path: String) throws -> Int32 {
        guard mkfifo(path, 0o600) == 0 || errno == EEXIST else { throw FileError(path) }
        let descriptor = Glibc.open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw FileError(path) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFIFO else {
            close(descriptor)
            throw WatchError("\(path) is no pipe")
        }
        return descriptor
    }
}
