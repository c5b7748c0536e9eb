import Embedded
import Files
import Glibc
import HubModel
import MQTT
import Synchronization

/// Our own terminal, lent to a program on this machine: by way of a socket its relay gets the keys and the size, and sends
/// what is to be seen. See `TerminalRelay` of the watch.
final class SharedTerminal: Sendable {
    private struct State {
        var mode: TerminalMode?
        var wasConnected = false
        var isOver = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    /// Where the relay finds us.
    let path: String
    private let folder: String
    private let listener: Int32
    /// What our thread is to be told: `Order`, a byte each.
    private let orders: (reading: Int32, telling: Int32)
    private let state = Mutex(State())

    private enum Order: UInt8 {
        case resize, end
    }

    /// - Throws: `CommandError` where we have no terminal, or no socket can be made.
    init() throws {
        guard isatty(STDIN_FILENO) == 1, isatty(STDOUT_FILENO) == 1 else {
            throw CommandError("--tty is for a terminal: standard input or output is none")
        }
        // Whoever the program runs as finds the socket, and nobody else its name.
        var template = Array("/tmp/sensorhub-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw CommandError("no folder can be made in /tmp: \(String(cString: strerror(errno)))")
        }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        path = "\(folder)/\(makeUniqueID())"
        do {
            guard chmod(folder, 0o711) == 0 else { throw FileError(folder) }
            listener = try StreamSocket.listen(path)
        } catch {
            rmdir(folder)
            throw CommandError("\(error)")
        }
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw CommandError("pipe: \(String(cString: strerror(errno)))") }
        orders = (ends[0], ends[1])
    }

    /// True where a relay came for it.
    var wasConnected: Bool { state.withLock { $0.wasConnected } }

    /// True while the terminal is the program's.
    var isInUse: Bool { state.withLock { $0.mode != nil } }

    /// The command that has `command` use the terminal.
    func relayed(_ command: [String], by installation: Installation) -> [String] {
        [installation.watch, "--terminal", path, "--"] + command
    }

    /// Waits for the relay and serves it, in a thread of its own. Where our terminal goes away, this process ends.
    func start() {
        _ = startThread { self.serve() }
    }

    /// The terminal may have another size now.
    func resize() { tell(.resize) }

    /// Returns when all is shown that the program wrote, and the terminal is as it was. To be called when the program has
    /// ended.
    func end() async {
        tell(.end)
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if !state.isOver { state.waiting.append(continuation) }
                return state.isOver
            }
            if isOver { continuation.resume() }
        }
    }

    /// Leaves the terminal and the file system as they were.
    func restore() {
        removeSocket()
        let mode = state.withLock { state in
            defer { state.mode = nil }
            return state.mode
        }
        mode?.restore()
    }

    /// Where our terminal is gone, the program is told as by a terminal, and there is nobody left to show anything to.
    func leaveIfGone() {
        var settings = termios()
        guard tcgetattr(STDIN_FILENO, &settings) != 0 else { return }
        leave()
    }

    private func leave() -> Never {
        restore()
        // The relay's end of the socket closes with it.
        _exit(128 + SIGHUP)
    }

    private func removeSocket() {
        unlink(path)
        rmdir(folder)
    }

    private func tell(_ order: Order) {
        _ = write(orders.telling, [order.rawValue], 1)
    }

    // MARK: The thread

    private func serve() {
        if let socket = awaitRelay() {
            // Nobody else is to come.
            removeSocket()
            close(listener)
            let mode = TerminalMode { cfmakeraw(&$0) }
            state.withLock { state in
                state.mode = mode
                state.wasConnected = true
            }
            send(.size(rows: size.rows, columns: size.columns), to: socket)
            relay(socket)
            close(socket)
        }
        restore()
        let waiting = state.withLock { state in
            state.isOver = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    /// - Returns: nil where the program has ended before.
    private func awaitRelay() -> Int32? {
        while true {
            var descriptors = [
                pollfd(fd: listener, events: Int16(POLLIN), revents: 0),
                pollfd(fd: orders.reading, events: Int16(POLLIN), revents: 0),
            ]
            poll(&descriptors, 2, -1)
            if descriptors[0].revents != 0 {
                let socket = accept(listener, nil, nil)
                if socket >= 0 { return socket }
            } else if descriptors[1].revents != 0, takeOrder() == .end {
                return nil
            }
        }
    }

    private func relay(_ socket: Int32) {
        let output = PassedOutput {}
        var bytes = [UInt8](repeating: 0, count: TerminalFrame.maximumKeys)
        var deadline: Instant?
        while deadline.map({ Instant.now < $0 }) ?? true {
            var descriptors = [
                pollfd(fd: socket, events: Int16(POLLIN), revents: 0),
                pollfd(fd: deadline == nil ? STDIN_FILENO : -1, events: Int16(POLLIN), revents: 0),
                pollfd(fd: orders.reading, events: Int16(POLLIN), revents: 0),
            ]
            poll(&descriptors, 3, deadline == nil ? -1 : 100)
            if descriptors[2].revents != 0 {
                switch takeOrder() {
                case .resize?: send(.size(rows: size.rows, columns: size.columns), to: socket)
                // The relay has ended, or is about to; it closes the socket with the last byte.
                case .end?: deadline = .now + .seconds(5)
                case nil: break
                }
            }
            if descriptors[0].revents != 0 {
                let count = read(socket, &bytes, bytes.count)
                if count < 0, errno == EINTR || errno == EAGAIN { continue }
                guard count > 0 else { return }
                output.write(Array(bytes[..<count]), to: STDOUT_FILENO)
            }
            if descriptors[1].revents != 0 {
                let count = read(STDIN_FILENO, &bytes, bytes.count)
                if count < 0, errno == EINTR || errno == EAGAIN { continue }
                // A raw terminal has no end of file.
                guard count > 0 else { leave() }
                send(.keys(Array(bytes[..<count])), to: socket)
            }
        }
    }

    private func takeOrder() -> Order? {
        var byte: UInt8 = 0
        return read(orders.reading, &byte, 1) == 1 ? Order(rawValue: byte) : nil
    }

    private func send(_ frame: TerminalFrame, to socket: Int32) {
        PassedOutput {}.write(frame.bytes, to: socket)
    }

    private var size: (rows: UInt16, columns: UInt16) {
        var size = winsize()
        guard ioctl(STDIN_FILENO, UInt(TIOCGWINSZ), &size) == 0 else { return (24, 80) }
        return (size.ws_row, size.ws_col)
    }
}
