public import Glibc

/// Files, by path.
public enum File {
    /// The content of a file; also of those under /proc and /sys, which say it anew at each opening.
    ///
    /// - Parameter limit: in bytes; a larger file is an error.
    public static func bytes(of path: String, limit: Int = 16 << 20) throws(FileError) -> [UInt8] {
        let bytes = try beginning(of: path, limit: limit + 1)
        guard bytes.count <= limit else { throw FileError(path, EFBIG) }
        return bytes
    }

    /// The first `limit` bytes of a file, or all if it has not that many.
    public static func beginning(of path: String, limit: Int) throws(FileError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(path) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: min(limit, 16 << 10))
        while bytes.count < limit {
            let count = read(descriptor, &chunk, min(chunk.count, limit - bytes.count))
            if count == -1, errno == EINTR { continue }
            guard count >= 0 else { throw FileError(path) }
            guard count > 0 else { break }
            bytes.append(contentsOf: chunk[..<count])
        }
        return bytes
    }

    /// The content of a file as text; what is not UTF-8 is repaired.
    public static func text(of path: String, limit: Int = 16 << 20) throws(FileError) -> String {
        String(decoding: try bytes(of: path, limit: limit), as: UTF8.self)
    }

    /// Puts `content` into a file in one step: a reader finds the old content or the new one.
    ///
    /// - Parameters:
    ///   - mode: the file's rights; by default only its owner may read it.
    ///   - isDurable: true where a power cut, too, must leave one or the other; that costs a write to the disk.
    ///   - belongsToFolder: true where root writes for the account that owns the folder.
    public static func replace(
        _ path: String, with content: some Sequence<UInt8>, mode: mode_t = 0o600, isDurable: Bool = false,
        belongsToFolder: Bool = false
    ) throws(FileError) {
        // A name of its own, so that two writers do not write into one file.
        let temporary = "\(path).\(getpid()).new"
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw FileError(temporary) }
        do throws(FileError) {
            defer { close(descriptor) }
            var owner = stat()
            if belongsToFolder, geteuid() == 0, stat(Folder.parent(of: path), &owner) == 0 {
                guard fchown(descriptor, owner.st_uid, owner.st_gid) == 0 else { throw FileError(path) }
            }
            // The mode given to `open` is less the umask.
            guard fchmod(descriptor, mode) == 0 else { throw FileError(path) }
            try write(Array(content), to: descriptor, path)
            if isDurable, fsync(descriptor) != 0 { throw FileError(path) }
            guard rename(temporary, path) == 0 else { throw FileError(path) }
        } catch {
            unlink(temporary)
            throw error
        }
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32, _ path: String) throws(FileError) {
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count == -1, errno == EINTR { continue }
            guard count > 0 else { throw FileError(path) }
            done += count
        }
    }

    public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    public static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    public static func isExecutable(_ path: String) -> Bool { access(path, X_OK) == 0 }
}
