import CWatch
import Files
import Glibc
import HubModel

/// Runs a program in a pseudo terminal, whose person is at the other end of a socket. What the program writes goes there,
/// and to our own stdout, which a watch takes into the log. It goes on when the person, the watch or the hub are gone, and
/// ends as the program has ended.
package struct TerminalRelay {
    private let program: Int32
    private let signals: Int32
    /// The person's end of the terminal.
    private let terminal: Int32
    /// The programs' end, so that it stays while none has it open.
    private let inner: Int32
    /// -1 where the person is gone.
    private var socket: Int32
    private var decoder: TerminalFrame.Decoder

    private var toPerson: [UInt8] = []
    private var toLog: [UInt8] = []
    private var toProgram: [UInt8] = []
    private var hasLog = true
    /// Bytes that the log had no room for.
    private var unlogged = 0

    /// Of what is on its way; whoever writes more waits.
    private static let maximumBytes = 64 << 10
    /// How long somebody may take to read what there is at the end.
    private static let patience = Duration.seconds(10)
    /// What other programs still write after the end.
    private static let maximumRest = 1 << 20

    /// - Parameters:
    ///   - command: the program, and what it is given.
    ///   - path: of the socket.
    package static func run(_ command: [String], socket path: String) -> Never {
        let signals = signalDescriptor([SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD])
        let socket: Int32
        do throws(FileError) {
            socket = try StreamSocket.connect(path)
        } catch {
            fail("no terminal: \(error)", 126)
        }
        var outer: Int32 = -1, inner: Int32 = -1
        guard sh_open_terminal(&outer, &inner) == 0 else {
            fail("no terminal can be made: \(String(cString: strerror(errno)))", 126)
        }
        var frames = FirstFrames(socket, terminal: outer)
        frames.take()
        let specification = ProgramSpecification(
            executable: command[0], arguments: Array(command.dropFirst()), environment: ownEnvironment())
        do throws(LaunchError) {
            let program = try ProgramProcess.spawn(specification, terminal: inner)
            var relay = TerminalRelay(
                program: program, signals: signals, terminal: outer, inner: inner, socket: socket,
                decoder: frames.decoder, toProgram: frames.keys)
            relay.serve()
        } catch {
            let text = Array("sensorhub run: \(error.reason)\r\n".utf8)
            _ = Glibc.write(socket, text, text.count)
            fail(error.reason, LaunchFailure.exitCode(error.reason, of: command[0]))
        }
    }

    private static func fail(_ reason: String, _ code: Int32) -> Never {
        let text = Array("\(reason)\n".utf8)
        _ = Glibc.write(STDERR_FILENO, text, text.count)
        exit(code)
    }

    private init(
        program: Int32, signals: Int32, terminal: Int32, inner: Int32, socket: Int32, decoder: TerminalFrame.Decoder,
        toProgram: [UInt8]
    ) {
        self.program = program
        self.signals = signals
        self.terminal = terminal
        self.inner = inner
        self.socket = socket
        self.decoder = decoder
        self.toProgram = toProgram
        for descriptor in [socket, STDOUT_FILENO] {
            _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        }
    }

    private mutating func serve() -> Never {
        let status = watchProgram()
        finish()
        let ending = ProgramEnding(waitStatus: status)
        if let signal = ending.signal { sh_end_by_signal(signal) }
        exit(ending.exitCode ?? 1)
    }

    /// - Returns: how it has ended.
    private mutating func watchProgram() -> Int32 {
        while true {
            wait()
            if let status = takeSignals() { return status }
            takeKeys()
            takeOutput()
            write()
        }
    }

    private mutating func wait(isOver: Bool = false) {
        let hasRoom = toPerson.count < Self.maximumBytes && !isOver
        var descriptors = [
            pollfd(fd: isOver ? -1 : signals, events: Int16(POLLIN), revents: 0),
            pollfd(
                fd: hasRoom || !toProgram.isEmpty ? terminal : -1,
                events: Int16((hasRoom ? POLLIN : 0) | (toProgram.isEmpty ? 0 : POLLOUT)), revents: 0),
            pollfd(
                fd: isOver && toPerson.isEmpty ? -1 : socket,
                events: Int16(
                    (toProgram.count < Self.maximumBytes && !isOver ? POLLIN : 0) | (toPerson.isEmpty ? 0 : POLLOUT)),
                revents: 0),
            pollfd(fd: toLog.isEmpty ? -1 : STDOUT_FILENO, events: Int16(POLLOUT), revents: 0),
        ]
        poll(&descriptors, nfds_t(descriptors.count), isOver ? 100 : -1)
        // Else what is typed and not read would hide it.
        if !isOver, toProgram.count >= Self.maximumBytes, descriptors[2].revents & Int16(POLLHUP | POLLERR) != 0 {
            hangUp()
        }
    }

    /// Passes on what is for the program.
    ///
    /// - Returns: how the program has ended; nil where it has not.
    private func takeSignals() -> Int32? {
        while case let signal = sh_next_signal(signals), signal != 0 {
            guard signal == SIGCHLD else {
                _ = kill(-program, signal)
                continue
            }
            var info = siginfo_t()
            // The zombie keeps its number for what is left of its group.
            guard waitid(P_PID, id_t(program), &info, WEXITED | WNOHANG | WNOWAIT) == 0,
                info._sifields._sigchld.si_pid == program
            else { continue }
            _ = kill(-program, SIGKILL)
            var status: Int32 = 0
            while waitpid(program, &status, 0) < 0, errno == EINTR {}
            return status
        }
        return nil
    }

    // MARK: The person

    private mutating func takeKeys() {
        guard socket >= 0, toProgram.count < Self.maximumBytes else { return }
        var bytes = [UInt8](repeating: 0, count: 16 << 10)
        let count = read(socket, &bytes, bytes.count)
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        guard count > 0, let frames = try? decoder.take(bytes[..<count]) else { return hangUp() }
        for frame in frames {
            switch frame {
            case .keys(let keys): toProgram += keys
            case .size(let rows, let columns): sh_resize_terminal(terminal, rows, columns)
            }
        }
    }

    /// The person is gone: the programs are told as by a terminal.
    private mutating func hangUp() {
        close(socket)
        socket = -1
        toPerson = []
        let foreground = tcgetpgrp(terminal)
        for group in Set([program, foreground]) where group > 0 {
            _ = kill(-group, SIGHUP)
            // One that is stopped would not notice.
            _ = kill(-group, SIGCONT)
        }
    }

    // MARK: The program

    /// - Returns: how many bytes have come.
    @discardableResult
    private mutating func takeOutput() -> Int {
        guard toPerson.count < Self.maximumBytes else { return 0 }
        var bytes = [UInt8](repeating: 0, count: 16 << 10)
        let count = read(terminal, &bytes, bytes.count)
        guard count > 0 else { return 0 }
        if socket >= 0 { toPerson += bytes[..<count] }
        if hasLog { log(bytes[..<count]) }
        return count
    }

    /// The log is slower than a terminal, and the person does not wait for it.
    private mutating func log(_ bytes: ArraySlice<UInt8>) {
        guard toLog.count < Self.maximumBytes else {
            unlogged += bytes.count
            return
        }
        if unlogged > 0 { toLog += "\n… \(unlogged) bytes dropped\n".utf8 }
        unlogged = 0
        toLog += bytes
    }

    private mutating func write() {
        if socket >= 0, !Self.write(&toPerson, to: socket) { hangUp() }
        if !Self.write(&toLog, to: STDOUT_FILENO) { (hasLog, toLog) = (false, []) }
        if !Self.write(&toProgram, to: terminal) { toProgram = [] }
    }

    /// - Returns: false where nothing more can be written there.
    private static func write(_ bytes: inout [UInt8], to descriptor: Int32) -> Bool {
        while !bytes.isEmpty {
            let count = Glibc.write(descriptor, bytes, bytes.count)
            if count < 0, errno == EINTR { continue }
            if count < 0 { return errno == EAGAIN }
            bytes.removeFirst(count)
        }
        return true
    }

    /// What the program wrote at last is read by those who read.
    private mutating func finish() {
        close(inner)
        toProgram = []
        let deadline = Instant.now + Self.patience
        var rest = 0
        var isRead = false
        while Instant.now < deadline, !(isRead && toPerson.isEmpty && toLog.isEmpty) {
            if !isRead, toPerson.count < Self.maximumBytes {
                let count = takeOutput()
                rest += count
                isRead = count == 0 || rest >= Self.maximumRest
            }
            if unlogged > 0 { log([]) }
            if socket >= 0, !Self.write(&toPerson, to: socket) { toPerson = [] }
            if !Self.write(&toLog, to: STDOUT_FILENO) { toLog = [] }
            if !(toPerson.isEmpty && toLog.isEmpty) { wait(isOver: true) }
        }
    }

    private static func ownEnvironment() -> [String: String] {
        var variables: [String: String] = [:]
        var next = environ
        while let entry = next.pointee {
            next += 1
            let parts = String(cString: entry).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { variables[String(parts[0])] = String(parts[1]) }
        }
        return variables
    }
}

/// What the person's side says first: how large the terminal is.
private struct FirstFrames {
    private let socket: Int32
    private let terminal: Int32
    private(set) var decoder = TerminalFrame.Decoder()
    private(set) var keys: [UInt8] = []

    init(_ socket: Int32, terminal: Int32) {
        self.socket = socket
        self.terminal = terminal
    }

    /// Returns when that is known, or is not said for some seconds.
    mutating func take() {
        let deadline = Instant.now + .seconds(5)
        while Instant.now < deadline {
            var waiting = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, 1_000) > 0 else { continue }
            var bytes = [UInt8](repeating: 0, count: 1_024)
            let count = read(socket, &bytes, bytes.count)
            guard count > 0, let frames = try? decoder.take(bytes[..<count]) else { return }
            var isKnown = false
            for frame in frames {
                switch frame {
                case .keys(let more): keys += more
                case .size(let rows, let columns):
                    sh_resize_terminal(terminal, rows, columns)
                    isKnown = true
                }
            }
            if isKnown { return }
        }
    }
}

/// A descriptor for `sh_next_signal`.
func signalDescriptor(_ numbers: [Int32]) -> Int32 {
    sh_signal_descriptor(numbers, numbers.count)
}
