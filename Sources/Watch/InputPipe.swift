import Glibc

/// A program's stdin, as its watch has it.
struct InputPipe {
    private let path: String
    private let kind: ProgramInput
    /// For writing; -1 where there is nothing to write to.
    private(set) var descriptor: Int32 = -1
    private var bytes: [UInt8] = []
    private var isEnding = false

    /// More than a program leaves unread is not kept for it.
    private static let maximumBytes = 1 << 20

    init(path: String, kind: ProgramInput) {
        self.path = path
        self.kind = kind
    }

    /// False once its end was sent, or while there is no program.
    var isOpen: Bool { descriptor >= 0 }

    /// True while the program has not read what was sent.
    var isWaiting: Bool { !bytes.isEmpty }

    /// Makes the pipe anew, so that nothing of an earlier run is in it.
    ///
    /// - Returns: what is to be the program's stdin; the caller closes it.
    mutating func begin() throws(LaunchError) -> Int32 {
        close()
        guard kind != .none else { return Glibc.open("/dev/null", O_RDONLY | O_CLOEXEC) }
        unlink(path)
        guard mkfifo(path, 0o600) == 0 else {
            throw LaunchError(reason: "\(path) cannot be made: \(String(cString: strerror(errno)))")
        }
        open()
        return Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    }

    /// Opens the pipe of a program that runs.
    mutating func open() {
        guard kind != .none, descriptor < 0 else { return }
        descriptor = Glibc.open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW)
    }

    /// - Parameter isEnd: true where nothing is to follow.
    /// - Returns: false where that is too much, or the program takes no input.
    mutating func take(_ more: [UInt8], isEnd: Bool) -> Bool {
        guard descriptor >= 0, !isEnding, bytes.count + more.count <= Self.maximumBytes else { return more.isEmpty }
        bytes += more
        isEnding = isEnd
        write()
        return true
    }

    /// Writes what the pipe takes.
    mutating func write() {
        while descriptor >= 0, !bytes.isEmpty {
            let count = Glibc.write(descriptor, bytes, bytes.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            bytes.removeFirst(count)
        }
        if isEnding { close() }
    }

    mutating func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
        bytes = []
        isEnding = false
    }
}
