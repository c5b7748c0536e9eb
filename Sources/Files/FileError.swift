import Glibc

/// A file or folder that could not be read, written or made.
public struct FileError: Error, Hashable, CustomStringConvertible {
    public let path: String
    /// From `errno`.
    public let code: Int32

    public init(_ path: String, _ code: Int32 = errno) {
        self.path = path
        self.code = code
    }

    /// There is no such file or folder.
    public var isNotFound: Bool { code == ENOENT || code == ENOTDIR }

    public var description: String {
        let reason = code == EFBIG ? "larger than it should ever be" : String(cString: strerror(code))
        return "\(path): \(reason)"
    }
}
