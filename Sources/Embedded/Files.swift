import Files
import Glibc

/// The content of a small file; nil where there is none.
func readFile(_ path: String) throws(EmbeddedError) -> [UInt8]? {
    do throws(FileError) {
        return try File.bytes(of: path, limit: 1 << 20)
    } catch {
        guard error.isNotFound else { throw .file("read", error) }
        return nil
    }
}

/// The content of a small file as text; nil where there is none.
func readText(_ path: String) throws(EmbeddedError) -> String? {
    try readFile(path).map { String(decoding: $0, as: UTF8.self) }
}

/// Puts a file in place in one step, also for a power cut. It belongs to whoever owns the folder. One that is there as it
/// should be is left alone: that spares an SD card.
func writeFile(_ path: String, _ content: String, mode: mode_t) throws(EmbeddedError) {
    var status = stat()
    if stat(path, &status) == 0, status.st_mode & 0o7777 == mode, try readText(path) == content { return }
    do throws(FileError) {
        try File.replace(path, with: content.utf8, mode: mode, isDurable: true, belongsToFolder: true)
    } catch {
        throw .file("write", error)
    }
}

/// Makes sure of a folder, and of those above it, which everybody may enter. One that is there keeps its mode.
///
/// - Parameter owner: whom the folder itself is to belong to; nil for whoever runs this.
func makeFolder(_ path: String, mode: mode_t, owner: Account? = nil) throws(EmbeddedError) {
    do throws(FileError) {
        if path != "/" { try Folder.make(Folder.parent(of: path), mode: 0o755) }
        try Folder.make(path, mode: mode)
        guard let owner else { return }
        var status = stat()
        guard stat(path, &status) == 0 else { throw FileError(path) }
        if status.st_uid != owner.userID || status.st_gid != owner.groupID {
            guard chown(path, owner.userID, owner.groupID) == 0 else { throw FileError(path) }
        }
    } catch {
        throw .file("make the folder", error)
    }
}

/// The names in a folder, sorted; none where it cannot be read.
func names(in folder: String) -> [String] {
    (try? Folder.names(in: folder)) ?? []
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
