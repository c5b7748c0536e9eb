import Glibc

/// Sees to it that one process at a time works with a sensor's files. A start reads there how far the start before it
/// came, and that holds only if that one does not go on.
///
/// Mostly it has ended long ago. It may not have, where whoever watched it was killed and could not find it again.
final class StateLock {
    /// Another process has the files, and could not be ended.
    struct Taken: Error {
        /// 0 where it is of another container.
        let pid: pid_t
    }

    private let descriptor: Int32

    private static let patience = Duration.seconds(5)

    /// Takes the files; a process that has them is killed. What it took is in them, as after any other `kill -9`.
    ///
    /// - Parameter ended: told which process that was.
    /// - Throws: `Taken`; `FileError` where files cannot be locked.
    init(folder: String, instance: Identifier, ended: (pid_t) -> Void) throws {
        // A file of its own: POSIX has a lock go with the first descriptor of its file that the process closes. It
        // stays empty, and so can be made on a full disk.
        let path = "\(folder)/\(instance).lock"
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw FileError(path, errno) }
        let deadline = Instant.now + Self.patience
        var killed: pid_t = 0
        while !Self.lock(descriptor) {
            guard errno == EAGAIN || errno == EACCES else { throw FileError(path, errno) }
            // Another lock than `flock`'s, since the kernel says of this one who has it.
            let holder = Self.holder(of: descriptor)
            if holder > 0, holder != killed {
                guard kill(holder, SIGKILL) == 0 || errno == ESRCH else { throw Taken(pid: holder) }
                killed = holder
                ended(holder)
            }
            guard Instant.now < deadline else { throw Taken(pid: holder) }
            pause(.milliseconds(5))
        }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    private static func lock(_ descriptor: Int32) -> Bool {
        var wanted = wholeFile
        return fcntl(descriptor, F_SETLK, &wanted) == 0
    }

    /// 0 where nobody has the lock any more.
    private static func holder(of descriptor: Int32) -> pid_t {
        var found = wholeFile
        guard fcntl(descriptor, F_GETLK, &found) == 0, found.l_type != Int16(F_UNLCK) else { return 0 }
        return found.l_pid
    }

    private static var wholeFile: flock {
        flock(l_type: Int16(F_WRLCK), l_whence: Int16(SEEK_SET), l_start: 0, l_len: 0, l_pid: 0)
    }
}
