import CWatch
import Files
import Glibc
import HubModel
package import SimdJSON

/// Watches the program of a folder: keeps it running by its rules, takes what it writes and what it comes to into the
/// journal, and does what is asked for on the control pipe. It ends when the program has no process and is not to be
/// started again.
///
/// It may be killed at any time: what it knows is in the folder, and another one goes on, without the program's noticing.
package final class Watch {
    private let folder: WatchFolder
    private let order: WatchFolder.Order
    private let lock: FolderLock
    private var control: CommandPipe
    /// The folder of the keeper that has started us.
    private let keeper: String?
    private let signals: Int32
    /// In the order of `OutputLine.Stream`'s descriptors.
    private var stages: [OutputStage]

    private var machine: ProgramStateMachine
    private var journal: JournalWriter
    private var output: OutputBuffer
    private var process: ProgramProcess?
    private var input: InputPipe
    private var isInputHeld = false
    /// Until when the program waits with its output.
    private var heldUntil: ContinuousClock.Instant?
    private var timer: (timer: ProgramStateMachine.Timer, at: ContinuousClock.Instant)?
    private var nextLook = ContinuousClock.now + lookInterval
    /// Signals that wait until the program can hear them.
    private var unheard: (signals: [Int32], until: ContinuousClock.Instant)?
    /// How many parts of the latest requests have come.
    private var takenParts = Recent<String, Int64>(capacity: 100)
    /// What the disk has not taken yet.
    private var unwritten: [JournalContent] = []
    private var start: Int64

    private static let maximumUnwritten = 2_000
    /// How often it is looked whether the folder is still there.
    private static let lookInterval = Duration.seconds(10)
    /// A program that ignores a signal is no longer waited for.
    private static let hearingPatience = Duration.seconds(2)
    private static let hearingInterval = Duration.milliseconds(20)

    /// - Parameter keeper: the folder of the keeper, which holds the program's pipes as well; nil where there is none.
    /// - Throws: `WatchError` where another watch is at work, and what reading the folder throws.
    package init(_ folder: WatchFolder, keeper: String?) throws {
        self.folder = folder
        self.keeper = keeper
        guard let lock = try FolderLock(folder.lock, patience: 1_000) else {
            throw WatchError("\(folder.lock): another watch is at work here")
        }
        self.lock = lock
        // Without it nobody would be told that the program has ended.
        let descriptor = sh_pidfd(getpid())
        guard descriptor >= 0 else { throw WatchError("the kernel is older than Linux 5.3, and cannot be used") }
        close(descriptor)
        order = try folder.readOrder()
        signals = signalDescriptor([SIGTERM, SIGINT, SIGHUP, SIGCHLD])
        control = try CommandPipe(folder.control)
        let now = microsecondsNow()
        journal = try JournalWriter(folder.journal, bytes: order.journalBytes, origin: now)
        var stages: [OutputStage] = []
        var positions: [OutputLine.Stream: Int64] = [:]
        for stream in [OutputLine.Stream.stdout, .stderr] {
            let pipe = try CommandPipe.open(folder.pipe(stream))
            let stage = try OutputStage(
                stream, in: folder.root, pipe: pipe, journaled: journal.positions[stream] ?? 0)
            positions[stream] = stage.position
            stages.append(stage)
        }
        self.stages = stages
        output = OutputBuffer(positions: positions, overflow: order.specification.overflow)
        input = InputPipe(path: folder.input, kind: order.specification.input)
        let memory = journal.memory
        start = memory?.start ?? 0
        machine = ProgramStateMachine(
            order.specification, run: memory?.status.run ?? 0, at: now)
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
            holdInput()
            takeOutput()
            if let timer, ContinuousClock.now >= timer.at {
                self.timer = nil
                handle(.timer(timer.timer))
            }
            sendUnheard()
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
                let ending = ending(ProgramProcess.ending(of: record, run: run, in: folder.ending))
                drain()
                fate = .ended(ending, lastErrorLine: output.lastErrorLine.map(Self.shortened))
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
            case .signal(let signal): send(signal)
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
        // To be told from those of later; the next watch may be another process.
        folder.memoryKills = outOfMemoryKills ?? 0
        let stdin = try input.begin()
        holdInput()
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
        unheard = nil
        input.close()
        holdInput()
        drain()
        handle(.ended(self.ending(ending), lastErrorLine: output.lastErrorLine.map(Self.shortened)))
    }

    /// How the program ended, by how its process did.
    private func ending(_ end: ProcessEnding) -> ProgramEnding {
        let ending = order.specification.wrappers > 0 ? end.ending.ofWrapped : end.ending
        return isOutOfMemory(ending, in: end.group) ? .outOfMemory : ending
    }

    private func isOutOfMemory(_ ending: ProgramEnding, in group: String?) -> Bool {
        // systemd kills what the kernel has left, in its own way.
        if let scope = group.flatMap(SystemdScope.init), let systemctl = order.specification.systemctl {
            return ending.signal != nil && scope.wasOutOfMemory(systemctl)
        }
        guard case .signaled(SIGKILL) = ending, let kills = outOfMemoryKills else { return false }
        return kills > folder.memoryKills
    }

    /// How often the kernel has killed in the program's control group, so far.
    private var outOfMemoryKills: Int64? {
        order.specification.cgroup.flatMap { ControlGroup.outOfMemoryKills(in: $0) }
    }

    /// The keeper holds the program's input open while it has not ended: where we are killed, the program does not notice.
    private func holdInput() {
        guard input.isOpen != isInputHeld, let keeper else { return }
        isInputHeld = input.isOpen
        _ = Keeper.ask(isInputHeld ? .holdInput(folder) : .endInput(folder), in: keeper)
    }

    /// An error can be as long as a line; a reason is for a table.
    private static func shortened(_ line: String) -> String {
        line.count > 300 ? "\(line.prefix(300))…" : line
    }

    // MARK: Waiting

    private func wait() {
        var descriptors = [
            pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
            pollfd(fd: control.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: heldUntil == nil ? stages[0].pipe : -1, events: Int16(POLLIN), revents: 0),
            pollfd(fd: heldUntil == nil ? stages[1].pipe : -1, events: Int16(POLLIN), revents: 0),
            pollfd(fd: process?.descriptor ?? -1, events: Int16(POLLIN), revents: 0),
            pollfd(fd: input.isWaiting ? input.descriptor : -1, events: Int16(POLLOUT), revents: 0),
        ]
        poll(&descriptors, nfds_t(descriptors.count), Int32(pause / .milliseconds(1)))
        if descriptors[4].revents != 0 { ended() }
    }

    private var pause: Duration {
        if heldUntil == nil, stages.contains(where: \.isUnread) { return .zero }
        let now = ContinuousClock.now
        var next = min(nextLook, timer?.at ?? nextLook, heldUntil ?? nextLook)
        // Lines that are being counted, and what a full disk may take by now.
        if !output.isEmpty || !unwritten.isEmpty { next = min(next, now + .seconds(1)) }
        if unheard != nil { next = min(next, now + Self.hearingInterval) }
        // One more, so that it is not a little too early.
        return next <= now ? .zero : next - now + .milliseconds(1)
    }

    /// Whoever removes the folder wants nothing of all this any more.
    private func look() {
        nextLook = ContinuousClock.now + Self.lookInterval
        if lock.isGone { handle(.stop(reason: "its folder is gone")) }
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

    /// At once; or when the program is there to hear it, after those that wait for the same.
    private func send(_ signal: Int32) {
        guard let process else { return }
        let isHeard = unheard == nil && process.hears(signal, wrappers: order.specification.wrappers)
        if isHeard || signal == SIGKILL { return process.signal(signal) }
        var waiting = unheard ?? ([], ContinuousClock.now + Self.hearingPatience)
        if !waiting.signals.contains(signal) { waiting.signals.append(signal) }
        unheard = waiting
    }

    private func sendUnheard() {
        guard let (signals, until) = unheard, let process else { return }
        let wrappers = order.specification.wrappers
        guard ContinuousClock.now >= until || signals.allSatisfy({ process.hears($0, wrappers: wrappers) }) else {
            return
        }
        unheard = nil
        for signal in signals { process.signal(signal) }
    }

    private func takeCommands() {
        for json in control.take() { if let command = WatchCommand(json) { perform(command) } }
    }

    private func perform(_ command: WatchCommand) {
        if let part = command.part {
            guard part.number >= takenParts[part.request] ?? 0 else { return }
            takenParts.add(part.request, part.number + 1)
        }
        switch command {
        case .stop(let reason): handle(.stop(reason: reason))
        case .signal(let signal, let run, _): if process?.run == run { send(signal) }
        case .input(let bytes, let isEnd, let run, _):
            guard process?.run == run else { return }
            if !input.take(bytes, isEnd: isEnd) { note("… input of \(bytes.count) bytes was dropped: it is not read") }
            holdInput()
        }
    }

    // MARK: Output

    private func takeOutput() {
        let pause = output.pause(at: microsecondsNow())
        heldUntil = pause > .zero ? ContinuousClock.now + pause : nil
        if heldUntil == nil { for index in stages.indices { take(&stages[index]) } }
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
