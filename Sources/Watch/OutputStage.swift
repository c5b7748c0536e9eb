import CWatch
import Files
import Glibc

/// Takes what a program writes out of its pipe, by way of a file: bytes get there within the kernel, so that none is lost
/// and none comes twice when the watch is killed at any instant. What is in the file is read at leisure, and read again by
/// the next watch from where the journal ends.
///
/// Positions count the bytes of the stream from the first on. The file's name has the position of its beginning.
struct OutputStage {
    let stream: OutputLine.Stream
    /// The pipe's end for reading.
    let pipe: Int32
    private let prefix: String
    private var file: Int32 = -1
    private var base: Int64
    /// Of the file.
    private var size: Int64 = 0
    /// Where the next `read` begins.
    private(set) var position: Int64
    /// The disk is full: what is read from the pipe then is as good as what there is.
    private var isWithoutFile = false

    /// What is moved at once.
    private static let chunk = 256 << 10
    /// A file that has grown beyond this is begun anew.
    private static let maximumFile: Int64 = 1 << 20
    /// More of an unfinished line is not kept for another watch.
    private static let keptBytes: Int64 = 64 << 10

    /// - Parameters:
    ///   - folder: where the pipe is and the file shall be.
    ///   - journaled: the position up to which lines are in the journal.
    init(_ stream: OutputLine.Stream, in folder: String, pipe: Int32, journaled: Int64) throws(FileError) {
        self.stream = stream
        self.pipe = pipe
        prefix = "\(folder)/\(stream.rawValue)."
        let name = "\(stream.rawValue)."
        let bases = try Folder.names(in: folder).compactMap { file -> Int64? in
            file.hasPrefix(name) ? Int64(file.dropFirst(name.count)) : nil
        }
        base = bases.max() ?? journaled
        // It has all that was left of the ones before.
        for old in bases where old != base { unlink("\(prefix)\(old)") }
        position = max(base, journaled)
        let path = "\(prefix)\(base)"
        file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw FileError(path) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw FileError(path) }
        size = Int64(status.st_size)
        // The file was lost with a power cut, or the journal is older.
        if position > base + size { try begin(at: position) }
    }

    /// True where `read` has something without `fill`.
    var isUnread: Bool { position < base + size }

    /// Moves what is in the pipe to the file, some hundred KiB at most.
    ///
    /// - Returns: false where the pipe is empty.
    mutating func fill() -> Bool {
        guard !isWithoutFile else { return true }
        let count = sh_splice(pipe, file, &size, Self.chunk)
        if count > 0 { return true }
        if count < 0, errno != EAGAIN {
            // No room: better that lines are not kept for another watch than that the program waits.
            isWithoutFile = true
            return true
        }
        return false
    }

    /// The bytes that have not been read yet, some hundred KiB at most; empty where there are none.
    mutating func read() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: min(Self.chunk, max(0, Int(base + size - position))))
        if bytes.isEmpty {
            guard isWithoutFile else { return [] }
            bytes = [UInt8](repeating: 0, count: 64 << 10)
            let count = Glibc.read(pipe, &bytes, bytes.count)
            guard count > 0 else {
                bytes = []
                // Everything is read, so that nothing is lost with the file.
                if (try? begin(at: position)) != nil { isWithoutFile = false }
                return []
            }
            position += Int64(count)
            return Array(bytes[..<count])
        }
        let count = pread(file, &bytes, bytes.count, off_t(position - base))
        guard count > 0 else {
            // What was there a moment ago cannot be read: a damaged disk must not hold us.
            position = base + size
            return []
        }
        position += Int64(count)
        return count == bytes.count ? bytes : Array(bytes[..<count])
    }

    /// Gives back the disk's room, when it is worth it.
    ///
    /// - Parameter journaled: the position up to which lines are in the journal.
    mutating func shrink(journaled: Int64) {
        guard size > Self.maximumFile, position == base + size else { return }
        let kept = position - journaled <= Self.keptBytes ? journaled : position
        var rest = [UInt8](repeating: 0, count: Int(position - kept))
        guard rest.isEmpty || pread(file, &rest, rest.count, off_t(kept - base)) == rest.count else { return }
        try? begin(at: kept, with: rest)
    }

    /// Begins another file, in one step.
    private mutating func begin(at position: Int64, with bytes: [UInt8] = []) throws(FileError) {
        let path = "\(prefix)\(position)", temporary = "\(path).new"
        let new = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard new >= 0 else { throw FileError(temporary) }
        guard bytes.isEmpty || pwrite(new, bytes, bytes.count, 0) == bytes.count, rename(temporary, path) == 0 else {
            let error = FileError(temporary)
            close(new)
            unlink(temporary)
            throw error
        }
        let old = "\(prefix)\(base)"
        close(file)
        if old != path { unlink(old) }
        file = new
        base = position
        size = Int64(bytes.count)
    }
}
