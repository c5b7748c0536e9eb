import Files
import Glibc
public import Watch

/// Runs one program and keeps it running, by the rules of its specification.
public actor WatchedProgram {
    public nonisolated let name: String
    private let recordFile: String?
    private let specification: ProgramSpecification
    private let onEvent: @Sendable (WatchEvent) -> Void

    private var machine: ProgramStateMachine
    private var output = OutputBuffer()
    /// While there is a process.
    private var group: ProcessGroup?
    private var timer: Task<Void, Never>?
    private var outputTimer: Task<Void, Never>?
    private var waiting: [CheckedContinuation<Void, Never>] = []

    private static let outputDelay = Duration.milliseconds(100)

    /// - Parameters:
    ///   - name: for people, and for `endLeftovers`.
    ///   - recordFile: the path of a file that names the process, or the last one while the program waits for its next
    ///     start, so that a later supervisor can end it; its folder must exist.
    ///   - firstRun: the number of the first start.
    ///   - onEvent: called with every change of state and all output, one event at a time and in order; it must not
    ///     block.
    public init(
        name: String, recordFile: String?, specification: ProgramSpecification, firstRun: Int64 = 1,
        onEvent: @escaping @Sendable (WatchEvent) -> Void
    ) {
        self.name = name
        self.recordFile = recordFile
        self.specification = specification
        self.onEvent = onEvent
        machine = ProgramStateMachine(specification, run: firstRun - 1, at: microsecondsNow())
    }

    public var status: ProgramStatus { machine.status }

    /// Starts the program unless it is up. One that is FATAL or waits for its next start is started at once, and its
    /// failed starts are forgotten. While it is being stopped this does nothing.
    public func start() {
        handle(.start)
    }

    /// Asks the program's process group to end, kills it where it does not, and returns when it is gone. The program is
    /// not started again until `start`.
    public func stop(reason: String) async {
        handle(.stop(reason: reason))
        await waitUntilIdle()
    }

    /// Sends a signal to the program's process group, where it has a process.
    public func send(signal: Int32) {
        group?.signal(signal)
    }

    /// Returns when the program has no process and will not be started again by itself: it was stopped, has reached an
    /// end that its policy accepts, or is FATAL.
    @discardableResult
    public func waitUntilIdle() async -> ProgramStatus {
        if !machine.isIdle { await withCheckedContinuation { waiting.append($0) } }
        return machine.status
    }

    // MARK: Events and actions

    private func handle(_ event: ProgramStateMachine.Event) {
        for action in machine.handle(event, at: microsecondsNow()) {
            switch action {
            case .launch: launch()
            case .signal(let signal): group?.signal(signal)
            case .setTimer(let timer, let duration): setTimer(timer, duration)
            case .report(let status): onEvent(.state(status))
            }
        }
        guard machine.isIdle else { return }
        // Not with each end: the next start could find the disk full, and be without a record.
        if let recordFile { unlink(recordFile) }
        timer?.cancel()
        timer = nil
        waiting.forEach { $0.resume() }
        waiting = []
    }

    private func setTimer(_ event: ProgramStateMachine.Timer, _ duration: Duration) {
        timer?.cancel()
        timer = Task {
            do { try await Task.sleep(for: duration) } catch { return }
            handle(.timer(event))
        }
    }

    private func launch() {
        output.forgetLastErrorLine()
        let run = ProcessRun(
            specification: specification,
            launched: { group, pid in await self.launched(group, pid) },
            output: { bytes, stream in await self.take(bytes, stream) })
        Task {
            let event: ProgramStateMachine.Event
            do throws(LaunchError) {
                let ending = try await run()
                ended()
                event = .ended(ending, lastErrorLine: output.lastErrorLine.map(Self.shortened))
            } catch {
                event = .launchFailed(reason: error.reason)
            }
            handle(event)
        }
    }

    private func launched(_ group: ProcessGroup, _ pid: Int32) {
        self.group = group
        if let recordFile {
            do throws(FileError) {
                // A program that has ended already needs no record.
                try ProcessRecord(name: name, pid: pid)?.write(to: recordFile)
            } catch {
                let text = "the record of the process cannot be written: \(error)"
                onEvent(.output([OutputLine(time: microsecondsNow(), stream: .stderr, text: text)]))
            }
        }
        handle(.launched(pid: pid))
    }

    private func ended() {
        group = nil
        outputTimer?.cancel()
        outputTimer = nil
        deliver(output.finish(at: microsecondsNow()))
    }

    /// An error can be as long as a line; a reason is for a table.
    private static func shortened(_ line: String) -> String {
        line.count > 300 ? "\(line.prefix(300))…" : line
    }

    // MARK: Output

    private func take(_ bytes: [UInt8], _ stream: OutputLine.Stream) {
        for batch in output.append(bytes, stream, at: microsecondsNow()) { deliver(batch) }
        flushLater()
    }

    private func flushLater() {
        guard outputTimer == nil, !output.isEmpty else { return }
        outputTimer = Task {
            do { try await Task.sleep(for: Self.outputDelay) } catch { return }
            outputTimer = nil
            deliver(output.flush(at: microsecondsNow()))
            flushLater()
        }
    }

    private func deliver(_ lines: [OutputLine]) {
        if !lines.isEmpty { onEvent(.output(lines)) }
    }
}
