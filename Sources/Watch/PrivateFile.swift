import Glibc
public import SystemPackage

/// A file that only its owner may read, written so that a reader finds either the old content or the new one.
public enum PrivateFile {
    /// - Parameter isDurable: true where the content must be there after a power cut; that costs a write to the disk.
    public static func write(_ bytes: some Sequence<UInt8>, to path: String, isDurable: Bool = false) throws(Errno) {
        // A name of its own, so that two writers do not write into one file.
        let temporary = "\(path).\(getpid()).new"
        do {
            let file = try FileDescriptor.open(
                FilePath(temporary), .writeOnly, options: [.create, .truncate, .closeOnExec, .noFollow],
                permissions: .ownerReadWrite)
            try file.closeAfter {
                try file.writeAll(bytes)
                if isDurable, fsync(file.rawValue) != 0 { throw Errno(rawValue: errno) }
            }
            guard rename(temporary, path) == 0 else { throw Errno(rawValue: errno) }
        } catch {
            unlink(temporary)
            throw error as? Errno ?? .ioError
        }
    }

    /// The content of a file.
    ///
    /// - Parameter limit: a larger file is an error.
    public static func read(_ path: String, limit: Int = 16 << 20) throws(Errno) -> [UInt8] {
        do {
            let file = try FileDescriptor.open(FilePath(path), .readOnly, options: .closeOnExec)
            return try file.closeAfter {
                var content: [UInt8] = []
                var chunk = [UInt8](repeating: 0, count: 64 << 10)
                while true {
                    let count = try chunk.withUnsafeMutableBytes { try file.read(into: $0) }
                    guard count > 0 else { return content }
                    guard content.count + count <= limit else { throw Errno.fileTooLarge }
                    content.append(contentsOf: chunk[..<count])
                }
            }
        } catch {
            throw error as? Errno ?? .ioError
        }
    }
}
