import CWatch
import Files
import Glibc
package import SimdJSON

/// Watches the program of a folder: keeps it running by its rules, takes what it writes and what it comes to into the
/// journal, and does what is asked for on the control pipe. It ends when the program has no process and is not to be
/// started again.
///
/// It may be killed at any time: what it knows is in the folder, and another one goes on, without the program's noticing.
package final class Watch {
    private let folder: WatchFolder
    private let order: WatchFolder.Order
    private let lock: Int32
    private let control: Int32
    private let signals: Int32
    /// What the program writes also goes to our own stdout and stderr.
    private let isMirror: Bool
    /// In the order of `OutputLine.Stream`'s descriptors.
    private var stages: [OutputStage]

    private var machine: ProgramStateMachine
    private var journal: JournalWriter
    private var output: OutputBuffer
    private var process: ProgramProcess?
    private var input: InputPipe
    private var commands: [UInt8] = []
    private var timer: (timer: ProgramStateMachine.Timer, at: ContinuousClock.Instant)?
    private var nextLook = ContinuousClock.now + lookInterval
    /// What the disk has not taken yet.
    private var unwritten: [JournalContent] = []
    private var start: Int64

    private static let maximumUnwritten = 2_000
    /// How often it is looked whether the folder is still there.
    private static let lookInterval = Duration.seconds(10)

    /// - Throws: `WatchError` where another watch is at work, and what reading the folder throws.
    package init(_ folder: WatchFolder, isMirror: Bool = false) throws {
        self.folder = folder
        self.isMirror = isMirror
        lock = try Self.take(folder.lock)
        order = try folder.readOrder()
        signals = sh_signal_descriptor()
        control = try WatchFolder.openPipe(folder.control)
        let now = microsecondsNow()
        journal = try JournalWriter(folder.journal, bytes: order.journalBytes, origin: now)
        var stages: [OutputStage] = []
        var positions: [OutputLine.Stream: Int64] = [:]
        for stream in [OutputLine.Stream.stdout, .stderr] {
            let pipe = try WatchFolder.openPipe(folder.pipe(stream))
            let stage = try OutputStage(
                stream, in: folder.root, pipe: pipe, journaled: journal.positions[stream] ?? 0)
            positions[stream] = stage.position
            stages.append(stage)
        }
        self.stages = stages
        output = OutputBuffer(positions: positions)
        input = InputPipe(path: folder.input, kind: order.specification.input)
        let memory = journal.memory
        start = memory?.start ?? 0
        machine = ProgramStateMachine(
            order.specification, run: memory?.status.run ?? 0, at: now)
    }

    private static func take(_ path: String) throws -> Int32 {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw FileError(path) }
        // One that was just killed may not be gone entirely.
        for _ in 0..<100 {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return descriptor }
            usleep(10_000)
        }
        throw WatchError("\(path): another watch is at work here")
    }

    /// Returns when there is nothing to watch any more.
    ///
    /// - Returns: how the program was at last.
    @discardableResult
    package func run() -> ProgramStatus {
        takeUp()
        while !(machine.isIdle && process == nil) {
            wait()
            takeSignals()
            takeCommands()
            input.write()
            takeOutput()
            if let timer, ContinuousClock.now >= timer.at {
                self.timer = nil
                handle(.timer(timer.timer))
            }
            if ContinuousClock.now >= nextLook { look() }
        }
        record([])
        unlink(folder.process)
        journal.close()
        return machine.status
    }

    // MARK: Beginning

    private func takeUp() {
        let memory = journal.memory, record = ProcessRecord(readingFrom: folder.process)
        var fate = ProgramStateMachine.Fate.none
        if let record, let run = Int64(record.name) {
            if let found = ProgramProcess(found: record) {
                process = found
                input.open()
                fate = .alive(pid: found.pid)
            } else if memory.map({ $0.status.run < run || ($0.status.run == run && $0.status.pid != nil) }) ?? true {
                let ending = ProgramProcess.ending(of: record.pid, run: run, in: folder.ending)
                drain()
                fate = .ended(
                    order.specification.tellsSignalByExitCode ? ending.ofWrapped : ending,
                    lastErrorLine: output.lastErrorLine.map(Self.shortened))
            }
        }
        let isWanted = order.start > start
        start = max(start, order.start)
        // A wanted start takes the place of one that was to come by itself.
        if isWanted, fate == .none {
            handle(.start)
        } else {
            act(machine.resume(memory, fate, at: microsecondsNow()))
        }
    }

    // MARK: Events and actions

    private func handle(_ event: ProgramStateMachine.Event) {
        act(machine.handle(event, at: microsecondsNow()))
    }

    private func act(_ actions: [ProgramStateMachine.Action]) {
        for action in actions {
            switch action {
            case .launch: launch()
            case .signal(let signal): process?.signal(signal)
            case .setTimer(let timer, let duration): self.timer = (timer, ContinuousClock.now + duration)
            case .report(let status): record([.state(machine.memory(of: status, start: start))])
            }
        }
    }

    private func launch() {
        output.forgetLastErrorLine()
        do throws(LaunchError) {
            let process = try start(run: machine.status.run)
            self.process = process
            handle(.launched(pid: process.pid))
        } catch {
            handle(.launchFailed(reason: error.reason))
        }
    }

    private func start(run: Int64) throws(LaunchError) -> ProgramProcess {
        let stdin = try input.begin()
        let stdout = open(folder.pipe(.stdout), O_RDWR | O_CLOEXEC | O_NOFOLLOW)
        let stderr = open(folder.pipe(.stderr), O_RDWR | O_CLOEXEC | O_NOFOLLOW)
        defer { for descriptor in [stdin, stdout, stderr] where descriptor >= 0 { close(descriptor) } }
        guard stdin >= 0, stdout >= 0, stderr >= 0 else {
            throw LaunchError(reason: "its streams cannot be opened: \(String(cString: strerror(errno)))")
        }
        return try ProgramProcess(
            order.specification, run: run, streams: (stdin, stdout, stderr), record: folder.process)
    }

    private func ended() {
        guard let process else { return }
        let ending = process.end(endingFile: folder.ending)
        self.process = nil
        input.close()
        drain()
        handle(
            .ended(
                order.specification.tellsSignalByExitCode ? ending.ofWrapped : ending,
                lastErrorLine: output.lastErrorLine.map(Self.shortened)))
    }

    /// An error can be as long as a line; a reason is for a table.
    private static func shortened(_ line: String) -> String {
        line.count > 300 ? "\(line.prefix(300))…" : line
    }

    // MARK: Waiting

    private func wait() {
        var descriptors = [
            pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
            pollfd(fd: control, events: Int16(POLLIN), revents: 0),
            pollfd(fd: stages[0].pipe, events: Int16(POLLIN), revents: 0),
            pollfd(fd: stages[1].pipe, events: Int16(POLLIN), revents: 0),
            pollfd(fd: process?.descriptor ?? -1, events: Int16(POLLIN), revents: 0),
            pollfd(fd: input.isWaiting ? input.descriptor : -1, events: Int16(POLLOUT), revents: 0),
        ]
        poll(&descriptors, nfds_t(descriptors.count), Int32(pause / .milliseconds(1)))
        if descriptors[4].revents != 0 { ended() }
    }

    private var pause: Duration {
        if stages.contains(where: \.isUnread) { return .zero }
        let now = ContinuousClock.now
        var next = min(nextLook, timer?.at ?? nextLook)
        // Lines that are being counted, and what a full disk may take by now.
        if !output.isEmpty || !unwritten.isEmpty { next = min(next, now + .seconds(1)) }
        // One more, so that it is not a little too early.
        return next <= now ? .zero : next - now + .milliseconds(1)
    }

    /// Whoever removes the folder wants nothing of all this any more.
    private func look() {
        nextLook = ContinuousClock.now + Self.lookInterval
        var ours = stat(), there = stat()
        guard fstat(lock, &ours) == 0, stat(folder.lock, &there) == 0, ours.st_ino == there.st_ino else {
            return handle(.stop(reason: "its folder is gone"))
        }
    }

    private func takeSignals() {
        while true {
            switch sh_next_signal(signals) {
            case 0: return
            case SIGTERM, SIGINT, SIGHUP: handle(.stop(reason: "its watch was asked to end"))
            default: break
            }
        }
    }

    private func takeCommands() {
        var chunk = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = read(control, &chunk, chunk.count)
            guard count > 0 else { return }
            commands += chunk[..<count]
            while let end = commands.firstIndex(of: UInt8(ascii: "\n")) {
                if let command = WatchCommand(commands[..<end]) { perform(command) }
                commands.removeSubrange(...end)
            }
            // Commands are shorter.
            if commands.count > 8_192 { commands = [] }
        }
    }

    private func perform(_ command: WatchCommand) {
        switch command {
        case .stop(let reason): handle(.stop(reason: reason))
        case .signal(let signal, let run): if process?.run == run { process?.signal(signal) }
        case .input(let bytes, let isEnd, let run):
            guard process?.run == run else { return }
            if !input.take(bytes, isEnd: isEnd) { note("… input of \(bytes.count) bytes was dropped: it is not read") }
        }
    }

    // MARK: Output

    private func takeOutput() {
        for index in stages.indices { take(&stages[index]) }
        let lines = output.flush(at: microsecondsNow())
        if !lines.isEmpty { write(lines) }
        for index in stages.indices {
            stages[index].shrink(journaled: journal.positions[stages[index].stream] ?? 0)
        }
    }

    /// - Returns: how many bytes have come.
    @discardableResult
    private func take(_ stage: inout OutputStage) -> Int {
        _ = stage.fill()
        let bytes = stage.read()
        guard !bytes.isEmpty else { return 0 }
        if isMirror { mirror(bytes, stage.stream) }
        for batch in output.append(bytes, stage.stream, at: microsecondsNow()) { write(batch) }
        return bytes.count
    }

    /// Takes what is left after the program's end. Whoever still writes then is another process that has inherited the
    /// pipe: of that only so much.
    private func drain() {
        for index in stages.indices {
            var bytes = 0
            while bytes < 1 << 20 {
                let count = take(&stages[index])
                if count == 0 { break }
                bytes += count
            }
        }
        write(output.finish(at: microsecondsNow()))
    }

    private func mirror(_ bytes: [UInt8], _ stream: OutputLine.Stream) {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(stream == .stdout ? STDOUT_FILENO : STDERR_FILENO, $0.baseAddress! + done, $0.count - done)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            done += count
        }
    }

    // MARK: Journal

    private func write(_ lines: [OutputLine]) {
        let run = process?.run ?? machine.status.run
        record(lines.map { .line($0, run: run) })
    }

    private func note(_ text: String) {
        write([OutputLine(time: microsecondsNow(), stream: .stderr, text: text)])
    }

    private func record(_ contents: [JournalContent]) {
        unwritten += contents
        do throws(FileError) {
            try journal.append(unwritten)
            unwritten = []
        } catch {
            guard unwritten.count > Self.maximumUnwritten else { return }
            // States are few, and more is lost with them.
            var excess = unwritten.count - Self.maximumUnwritten
            unwritten.removeAll { content in
                guard excess > 0, case .line = content else { return false }
                excess -= 1
                return true
            }
        }
    }
}

/// A watch that cannot do its work, with the reason.
package struct WatchError: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}
