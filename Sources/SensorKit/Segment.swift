import Glibc

/// A part of the journal: records one after the other, in a file or, where no file can be written, in memory.
final class Segment {
    private enum Storage {
        case file(path: String)
        case memory([UInt8])
    }

    let number: Int64
    private(set) var length: Int
    /// The readings in it.
    var readings = SpanSet()
    private var storage: Storage
    /// Open for writing; -1 once it is closed, and for memory.
    private var descriptor: Int32 = -1

    /// What a segment begins with; the last byte is the version of the format.
    static let header: [UInt8] = Array("SHJOURN".utf8) + [1]

    /// A segment in memory.
    init(inMemory number: Int64) {
        self.number = number
        storage = .memory(Self.header)
        length = Self.header.count
    }

    /// A new file.
    init(creating path: String, number: Int64) throws(FileError) {
        self.number = number
        storage = .file(path: path)
        length = 0
        descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw FileError(path, errno) }
        do throws(FileError) {
            try append(Self.header)
        } catch {
            remove()
            throw error
        }
    }

    /// A file of an earlier start. `readings` is empty: the records have yet to be read.
    init(opening path: String, number: Int64) throws(FileError) {
        self.number = number
        storage = .file(path: path)
        descriptor = open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(path, errno) }
        length = Int(lseek(descriptor, 0, SEEK_END))
    }

    deinit { close() }

    var isInMemory: Bool {
        if case .memory = storage { true } else { false }
    }

    /// Adds to the end. When it fails, nothing was added.
    func append(_ bytes: [UInt8]) throws(FileError) {
        switch storage {
        case .memory(var content):
            storage = .memory([])
            content.append(contentsOf: bytes)
            storage = .memory(content)
        case .file(let path):
            var done = 0
            while done < bytes.count {
                let count = bytes[done...].withUnsafeBytes {
                    pwrite(descriptor, $0.baseAddress, $0.count, off_t(length + done))
                }
                if count == -1, errno == EINTR { continue }
                guard count > 0 else {
                    let code = count == 0 ? ENOSPC : errno
                    ftruncate(descriptor, off_t(length))
                    throw FileError(path, code)
                }
                done += count
            }
        }
        length += bytes.count
    }

    /// - Returns: what there is of `count` bytes; empty where the file cannot be read.
    func read(at offset: Int, count: Int) -> [UInt8] {
        let count = max(0, min(count, length - offset))
        switch storage {
        case .memory(let content): return Array(content[offset..<offset + count])
        case .file(let path):
            let source = descriptor >= 0 ? descriptor : open(path, O_RDONLY | O_CLOEXEC)
            guard source >= 0 else { return [] }
            defer { if descriptor < 0 { Glibc.close(source) } }
            return [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
                while filled < count {
                    let part = pread(source, buffer.baseAddress! + filled, count - filled, off_t(offset + filled))
                    if part == -1, errno == EINTR { continue }
                    guard part > 0 else { return }
                    filled += part
                }
            }
        }
    }

    /// Cuts off what lies behind `length`.
    func truncate(to length: Int) {
        guard length < self.length else { return }
        self.length = length
        ftruncate(descriptor, off_t(length))
    }

    /// Nothing will be appended any more.
    func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    func remove() {
        close()
        if case .file(let path) = storage { unlink(path) }
    }
}
