public import Glibc

/// Stream sockets of the file system (unix(7)).
public enum StreamSocket {
    /// Makes a socket that whoever can reach its path may connect to.
    ///
    /// - Throws: `FileError`, also where the path is longer than Linux allows.
    public static func listen(_ path: String) throws(FileError) -> Int32 {
        let descriptor = try open(path) { bind($0, $1, $2) == 0 ? Glibc.listen($0, 1) : -1 }
        guard chmod(path, 0o666) == 0 else {
            let error = FileError(path)
            close(descriptor)
            throw error
        }
        return descriptor
    }

    /// - Throws: `FileError` where nobody listens there.
    public static func connect(_ path: String) throws(FileError) -> Int32 {
        try open(path) { Glibc.connect($0, $1, $2) }
    }

    private static func open(
        _ path: String, _ use: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws(FileError) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let fits = withUnsafeMutableBytes(of: &address.sun_path) { place in
            // The end stays NUL.
            guard path.utf8.count < place.count else { return false }
            place.copyBytes(from: path.utf8)
            return true
        }
        guard fits else {
            errno = ENAMETOOLONG
            throw FileError(path)
        }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw FileError(path) }
        let code = withUnsafePointer(to: address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                use(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard code == 0 else {
            let error = FileError(path)
            close(descriptor)
            throw error
        }
        return descriptor
    }
}
