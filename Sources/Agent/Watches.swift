import Files
import Glibc
import HubModel
import Watch

/// Has programs watched, each by a process of its own that lives on without the agent.
struct Watches: Sendable {
    private let executable: String
    private let folders: AgentFolders
    /// How long it is tried to end what has no watch, and may have no process.
    private static let stopLimit = Duration.seconds(20)

    init(_ configuration: AgentConfiguration, _ folders: AgentFolders) {
        executable = configuration.watchExecutable
        self.folders = folders
    }

    /// Has a program run: one that runs just so goes on, and one that runs otherwise is ended first.
    ///
    /// - Parameters:
    ///   - generation: another number asks for another start.
    ///   - isOnce: true for a program that is started once, whatever became of it.
    /// - Throws: `PreparationError`.
    func run(
        _ program: ProgramID, _ specification: ProgramSpecification, generation: Int64, isOnce: Bool
    ) async throws(PreparationError) {
        let folder = folders.watch(of: program)
        let before = try? folder.readOrder()
        // What has begun the same start is not begun again; how it has ended is in its journal.
        if isOnce, before != nil { return try keep(folder) }
        if let before, before.specification == specification, before.generation == generation {
            if isAtWork(folder) { return try keep(folder) }
        } else {
            let isRestart = before.map { $0.generation != generation } ?? false
            await stop(program, reason: isRestart ? "a new start was asked for" : "its plan has changed")
        }
        do {
            try JournalWriter(folder.journal, origin: folders.newJournalOrigin).close()
        } catch {
            throw PreparationError("its journal cannot be written: \(error)")
        }
        let start = max(before?.start ?? 0, JournalReader(folder.journal).end()?.memory?.start ?? 0) + 1
        do {
            try folder.write(WatchFolder.Order(specification, generation: generation, start: start))
        } catch {
            throw PreparationError("what its watch has to know cannot be written: \(error)")
        }
        try keep(folder)
    }

    /// What a program's journal says at its end.
    func lastState(of program: ProgramID) -> ProgramState? {
        JournalReader(folders.watch(of: program).journal).end()?.memory?.status.state
    }

    /// True where a program runs, or is to be started again by itself.
    func isAtWork(_ program: ProgramID) -> Bool { isAtWork(folders.watch(of: program)) }

    private func isAtWork(_ folder: WatchFolder) -> Bool { folder.isWatched || folder.liveProcess != nil }

    /// True where the next watch will start the program, or tell how it ended.
    private func isPending(_ folder: WatchFolder) -> Bool {
        let memory = JournalReader(folder.journal).end()?.memory
        // Of a watch that has just been asked for nothing is to be seen yet but its order.
        if let order = try? folder.readOrder(), order.start > memory?.start ?? 0 { return true }
        return memory.map { $0.isWaiting || $0.status.pid != nil } ?? false
    }

    /// Ends a program, and returns when it is gone.
    func stop(_ program: ProgramID, reason: String) async {
        let folder = folders.watch(of: program)
        var lastRequest: ContinuousClock.Instant?
        let deadline = ContinuousClock.now + Self.stopLimit
        while isAtWork(folder) || isPending(folder) {
            let now = ContinuousClock.now
            // No watch can be had, or it does not live.
            guard now < deadline || isAtWork(folder) else { return }
            // A watch that is killed with the request unread leaves it to the next one.
            if lastRequest.map({ now - $0 > .seconds(1) }) ?? true {
                if WatchCommand.stop(reason: reason).send(to: folder) {
                    lastRequest = now
                } else {
                    // There is a program without a watch.
                    try? keep(folder)
                }
            }
            // Not ended by cancellation: a program that is forgotten here would never end.
            await Task { try? await Task.sleep(for: .milliseconds(10)) }.value
        }
    }

    /// - Returns: false where the program has no watch.
    @discardableResult
    func send(_ command: WatchCommand, to program: ProgramID) -> Bool {
        command.send(to: folders.watch(of: program))
    }

    /// The programs that have a watch, or a process without one.
    var atWork: [ProgramID] {
        folders.programsWithJournals.filter(isAtWork)
    }

    /// Has the keeper end, and returns when it has. To be called when nothing is watched any more.
    func leave() async {
        for _ in 0..<500 where Keeper.ask(.leave, in: folders.keeper) {
            await Task { try? await Task.sleep(for: .milliseconds(10)) }.value
        }
    }

    // MARK: The keeper

    private func keep(_ folder: WatchFolder) throws(PreparationError) {
        for _ in 0..<3 {
            if Keeper.ask(.watch(folder), in: folders.keeper) { return }
            try startKeeper()
        }
        throw PreparationError("the parent of all watches, \(executable) --keep, does not live")
    }

    private func startKeeper() throws(PreparationError) {
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer { if null >= 0 { close(null) } }
        do throws(LaunchError) {
            let pid = try ProgramProcess.spawn(
                executable, arguments: ["--keep", folders.keeper], streams: (null, null, null))
            startThread { while waitpid(pid, nil, 0) < 0, errno == EINTR {} }
        } catch {
            throw PreparationError("no program can be watched: \(error.reason)")
        }
        // A matter of milliseconds.
        for _ in 0..<500 where !Keeper.isAtWork(in: folders.keeper) { usleep(2_000) }
    }
}
