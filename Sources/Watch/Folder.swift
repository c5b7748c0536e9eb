import Glibc
public import SystemPackage

/// Folders, by path.
public enum Folder {
    /// Makes a folder, and those above it, that only their owner may enter. One that exists stays as it is.
    public static func make(_ path: String) throws(Errno) {
        guard mkdir(path, 0o700) != 0 else { return }
        switch errno {
        case EEXIST: return
        case ENOENT:
            let parent = FilePath(path).removingLastComponent().string
            guard !parent.isEmpty, parent != path else { throw .noSuchFileOrDirectory }
            try make(parent)
            guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw Errno(rawValue: errno) }
        default: throw Errno(rawValue: errno)
        }
    }

    /// The names of what is in a folder, sorted.
    public static func names(in path: String) throws(Errno) -> [String] {
        guard let stream = opendir(path) else { throw Errno(rawValue: errno) }
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
    public static func remove(_ path: String) throws(Errno) {
        guard unlink(path) != 0 else { return }
        switch errno {
        case ENOENT: return
        // EPERM is what POSIX says for a folder, EISDIR what Linux does.
        case EISDIR, EPERM: break
        default: throw Errno(rawValue: errno)
        }
        for name in try names(in: path) { try remove("\(path)/\(name)") }
        guard rmdir(path) == 0 || errno == ENOENT else { throw Errno(rawValue: errno) }
    }
}
