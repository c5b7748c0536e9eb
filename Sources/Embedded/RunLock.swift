import Files
import Glibc

/// Held by the one `sensorhub up` that has a data folder; the kernel lets go of it when the process ends, however it ends.
final class RunLock: Sendable {
    private let descriptor: Int32

    private init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// - Throws: `EmbeddedError` with `.alreadyRunning`, and where the running one can be reached.
    static func take(_ data: DataDirectory) throws(EmbeddedError) -> RunLock {
        let descriptor = open(data.lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw .file("write", FileError(data.lock)) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let number = errno
            close(descriptor)
            guard number == EWOULDBLOCK else { throw .file("lock", FileError(data.lock, number)) }
            throw alreadyRunning(data)
        }
        // For whoever finds it locked before there is a connection file.
        let text = "\(getpid())\n"
        ftruncate(descriptor, 0)
        _ = pwrite(descriptor, text, text.utf8.count, 0)
        return RunLock(descriptor: descriptor)
    }

    deinit {
        close(descriptor)
    }

    private static func alreadyRunning(_ data: DataDirectory) -> EmbeddedError {
        guard let connection = try? ConnectionFile(readingFrom: data.connectionFile) else {
            let pid = ((try? readText(data.lock)) ?? nil)?.split(whereSeparator: \.isNewline).first ?? "?"
            return EmbeddedError(.alreadyRunning, "process \(pid) is just starting or stopping a hub in \(data.path)")
        }
        return EmbeddedError(
            .alreadyRunning,
            """
            a hub is already running in \(data.path) (process \(connection.pid))
              broker    \(connection.broker)
              database  \(connection.psql)
            """)
    }
}
