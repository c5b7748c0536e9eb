import Glibc

/// The whole of a small file; nil where there is none.
///
/// - Throws: `EmbeddedError` where it cannot be read or is larger than `limit` bytes.
func readFile(_ path: String, limit: Int = 1 << 20) throws(EmbeddedError) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
        guard errno == ENOENT || errno == ENOTDIR else { throw .file("read", path) }
        return nil
    }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while true {
        let count = read(descriptor, &chunk, chunk.count)
        guard count >= 0 else { throw .file("read", path) }
        guard count > 0 else { return bytes }
        bytes.append(contentsOf: chunk[..<count])
        guard bytes.count <= limit else {
            throw EmbeddedError(.file, "\(path) is larger than \(limit) bytes, which it should never be")
        }
    }
}

func readText(_ path: String, limit: Int = 1 << 20) throws(EmbeddedError) -> String? {
    try readFile(path, limit: limit).map { String(decoding: $0, as: UTF8.self) }
}

/// Writes a file under a new name and puts it in place in one step: a reader sees the old one or the new one, also after
/// a power cut. It belongs to whoever owns the folder.
func writeFile(_ path: String, _ content: String, mode: mode_t) throws(EmbeddedError) {
    let temporary = "\(path).new"
    unlink(temporary)
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
    guard descriptor >= 0 else { throw .file("write", path) }
    do throws(EmbeddedError) {
        defer { close(descriptor) }
        var folder = stat()
        if geteuid() == 0, stat(parent(of: path), &folder) == 0 {
            guard fchown(descriptor, folder.st_uid, folder.st_gid) == 0 else { throw .file("write", path) }
        }
        // The mode given to `open` is less the umask.
        guard fchmod(descriptor, mode) == 0 else { throw .file("write", path) }
        let bytes = Array(content.utf8)
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw .file("write", path) }
            done += count
        }
        guard fsync(descriptor) == 0 else { throw .file("write", path) }
        guard rename(temporary, path) == 0 else { throw .file("write", path) }
    } catch {
        unlink(temporary)
        throw error
    }
}

/// Makes sure of a folder and those above it. One that is there keeps its mode.
///
/// - Parameter owner: whom the folder itself is to belong to; nil for whoever runs this.
func makeFolder(_ path: String, mode: mode_t, owner: Account? = nil) throws(EmbeddedError) {
    if !fileExists(path) {
        if !fileExists(parent(of: path)) { try makeFolder(parent(of: path), mode: 0o755) }
        // The mode given to `mkdir` is less the umask.
        guard mkdir(path, mode) == 0, chmod(path, mode) == 0 else { throw .file("make the folder", path) }
    }
    var status = stat()
    guard stat(path, &status) == 0 else { throw .file("make the folder", path) }
    guard status.st_mode & S_IFMT == S_IFDIR else {
        throw .file("make the folder", path, errno: ENOTDIR)
    }
    if let owner, status.st_uid != owner.userID || status.st_gid != owner.groupID {
        guard chown(path, owner.userID, owner.groupID) == 0 else { throw .file("make the folder", path) }
    }
}

/// The folder that `path` is in.
func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}

/// The last part of `path`.
func lastPart(of path: String) -> String {
    String(path.split(separator: "/").last ?? "/")
}

func fileExists(_ path: String) -> Bool {
    access(path, F_OK) == 0
}

/// The names in a folder, sorted; none where it cannot be read.
func names(in folder: String) -> [String] {
    guard let directory = opendir(folder) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
            pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
}

/// What a symbolic link points to, as it is written.
func linkTarget(_ path: String) -> String? {
    var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(path, &buffer, buffer.count)
    return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
}

/// `path` without symbolic links; nil where there is nothing.
func realPath(_ path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
}
