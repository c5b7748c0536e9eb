import Files
import Glibc
import Synchronization

/// A log that is appended to and never grows beyond twice its limit: when it is full it becomes `….1` and a new one is
/// begun.
///
/// What cannot be written, because the disk is full, is lost: a log must not stop what it is about.
final class LogFile: Sendable {
    private struct State {
        var descriptor: Int32 = -1
        var size = 0
    }

    let path: String
    private let limit: Int
    private let state: Mutex<State>

    init(_ path: String, limit: Int = 10 << 20) throws(EmbeddedError) {
        self.path = path
        self.limit = limit
        let state = Self.open(path)
        guard state.descriptor >= 0 else { throw .file("write", FileError(path)) }
        self.state = Mutex(state)
    }

    deinit {
        state.withLock { state in
            if state.descriptor >= 0 { close(state.descriptor) }
        }
    }

    func append(_ lines: some Sequence<String>) {
        var bytes: [UInt8] = []
        for line in lines {
            bytes.append(contentsOf: line.utf8)
            bytes.append(UInt8(ascii: "\n"))
        }
        state.withLock { state in
            if state.size > 0, state.size + bytes.count > limit { rotate(&state) }
            // Tried again each time: the folder may have come back.
            if state.descriptor < 0 { state = Self.open(path) }
            let count = write(state.descriptor, bytes, bytes.count)
            if count > 0 { state.size += count }
        }
    }

    private func rotate(_ state: inout State) {
        if state.descriptor >= 0 { close(state.descriptor) }
        rename(path, path + ".1")
        state = Self.open(path)
    }

    private static func open(_ path: String) -> State {
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { return State() }
        return State(descriptor: descriptor, size: Int(max(0, lseek(descriptor, 0, SEEK_END))))
    }

    /// The last lines of a log, for an error message.
    static func tail(_ path: String, lines count: Int = 10) -> [String] {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        let size = lseek(descriptor, 0, SEEK_END)
        var bytes = [UInt8](repeating: 0, count: Int(min(max(0, size), 16 << 10)))
        let got = pread(descriptor, &bytes, bytes.count, size - off_t(bytes.count))
        return String(decoding: bytes[..<max(0, got)], as: UTF8.self).split(whereSeparator: \.isNewline)
            .suffix(count).map(String.init)
    }
}
