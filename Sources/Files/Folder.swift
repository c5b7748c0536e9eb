public import Glibc

/// Folders, by path.
public enum Folder {
    /// Makes a folder, and those above it. One that exists stays as it is.
    ///
    /// - Parameter mode: the rights of all that are made; by default only their owner may enter.
    public static func make(_ path: String, mode: mode_t = 0o700) throws(FileError) {
        if mkdir(path, mode) == 0 {
            // The mode given to `mkdir` is less the umask.
            guard chmod(path, mode) == 0 else { throw FileError(path) }
            return
        }
        switch errno {
        case EEXIST:
            guard File.isFolder(path) else { throw FileError(path, ENOTDIR) }
        case ENOENT where path != "/" && path != ".":
            try make(parent(of: path), mode: mode)
            // Not all folders let one be made in them: /proc says ENOENT again.
            guard mkdir(path, mode) == 0, chmod(path, mode) == 0 else { throw FileError(path) }
        default: throw FileError(path)
        }
    }

    /// The names of what is in a folder, sorted.
    public static func names(in path: String) throws(FileError) -> [String] {
        guard let stream = opendir(path) else { throw FileError(path) }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { name in
                name.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: name.pointee)) {
                    String(cString: $0)
                }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Removes a file, or a folder with all that is in it; links are removed, not followed. What does not exist is
    /// removed already.
    public static func remove(_ path: String) throws(FileError) {
        guard unlink(path) != 0 else { return }
        switch errno {
        case ENOENT: return
        // EPERM is what POSIX says for a folder, EISDIR what Linux does.
        case EISDIR, EPERM: break
        default: throw FileError(path)
        }
        for name in try names(in: path) { try remove("\(path)/\(name)") }
        guard rmdir(path) == 0 || errno == ENOENT else { throw FileError(path) }
    }

    /// The folder that `path` is in.
    public static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
