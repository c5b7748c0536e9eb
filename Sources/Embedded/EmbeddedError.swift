import Files
import Glibc

/// Why the hub and what it needs cannot be brought up on this machine; the text names the way out.
public struct EmbeddedError: Error, Hashable, CustomStringConvertible {
    public enum Code: Sendable, Hashable {
        /// A program that a Debian package brings is not there.
        case missingPackage
        /// A file or folder cannot be made, read or written.
        case file
        /// The data folder cannot be used as it is.
        case dataDirectory
        /// Another `sensorhub up` has the data folder.
        case alreadyRunning
        /// Somebody else listens on an address that was asked for, or it is none of this machine's.
        case address
        /// A program ends again and again, or is not ready in time.
        case notReady
    }

    public let code: Code
    public let description: String

    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }

    /// - Parameter action: what was to be done, as `write`.
    static func file(_ action: String, _ error: FileError) -> EmbeddedError {
        let advice =
            switch error.code {
            case ENOSPC, EDQUOT: "; make room on the disk, or choose another folder with --data"
            case EACCES, EPERM, EROFS: "; choose a folder that you may write to with --data"
            default: ""
            }
        return EmbeddedError(.file, "cannot \(action) \(error)\(advice)")
    }
}
