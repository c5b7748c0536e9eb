import Files
import Glibc

/// A file that one process at a time holds, for as long as it lives.
struct FolderLock {
    private let path: String
    private let descriptor: Int32

    /// Nil where another process holds it.
    ///
    /// - Parameter patience: how many milliseconds it may take: one that was just killed may not be gone entirely.
    init?(_ path: String, patience: Int = 0) throws(FileError) {
        self.path = path
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw FileError(path) }
        for _ in 0...patience / 10 {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return }
            usleep(10_000)
        }
        close(descriptor)
        return nil
    }

    /// True once the file is not there any more, or is another one: whoever removes it wants nothing of its holder.
    var isGone: Bool {
        var ours = stat(), there = stat()
        return fstat(descriptor, &ours) != 0 || stat(path, &there) != 0 || ours.st_ino != there.st_ino
    }

    static func isHeld(_ path: String) -> Bool {
        let descriptor = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return flock(descriptor, LOCK_SH | LOCK_NB) != 0
    }
}
