import Files
import HubModel
import Synchronization
import Watch

/// What is known and to be told of all programs of this machine, by their journals. May be called from anywhere.
final class Journals: Sendable {
    private final class Entry {
        var journal: ProgramJournal
        /// Something was written that has not been read.
        var hasNews = true
        /// The program is none of this node's any more: what it has to tell is told, and its folder then removed.
        var leaves: String?

        init(_ folder: WatchFolder) {
            journal = ProgramJournal(folder)
        }
    }

    private struct State {
        var entries: [ProgramID: Entry] = [:]
        var programs: [String: ProgramID] = [:]
        /// Whose turn it is.
        var turn = 0
        /// Folders that can be removed.
        var left: [String] = []
    }

    private let folders: AgentFolders
    private let state = Mutex(State())
    private let wake: @Sendable () -> Void
    private let events: FolderEvents

    /// How long the hub may take to answer before it is told again.
    private static let answerWait = Duration.seconds(10)

    /// - Parameter wake: called when there is something to send.
    init(_ folders: AgentFolders, wake: @escaping @Sendable () -> Void) throws(AgentError) {
        self.folders = folders
        self.wake = wake
        events = try FolderEvents()
        events.start { [weak self] in self?.changed($0) }
    }

    func stop() {
        events.stop()
    }

    // MARK: Writing

    /// Tells something of a program that has no watch: its preparation, its refusal.
    func tell(_ program: ProgramID, _ state: ProgramState, _ reason: String) {
        append(program) { run, start in
            [
                .state(
                    ProgramStateMachine.Memory(
                        status: ProgramStatus(state: state, reason: reason, since: microsecondsNow(), run: run),
                        isWaiting: false, failedStarts: 0, start: start))
            ]
        }
    }

    func tell(_ program: ProgramID, _ lines: [OutputLine]) {
        append(program) { run, _ in lines.map { .line($0, run: run) } }
    }

    private func append(_ program: ProgramID, _ contents: (_ run: Int64, _ start: Int64) -> [JournalContent]) {
        let folder = folders.watch(of: program)
        // What a watch writes alone is its own; and it knows better how its program is.
        guard !folder.isWatched else { return }
        // Full disk or not, the hub is told of the state with the snapshot.
        guard var writer = try? JournalWriter(folder.journal, origin: folders.newJournalOrigin) else { return }
        _ = try? writer.append(contents(writer.memory?.status.run ?? 0, writer.memory?.start ?? 0))
        writer.close()
        follow(program)
    }

    // MARK: Reading

    /// Begins to read a program's journal, or reads what is new.
    func follow(_ program: ProgramID) {
        let folder = folders.watch(of: program)
        events.watch(folder.journal)
        state.withLock { state in
            if let entry = state.entries[program] {
                entry.hasNews = true
            } else {
                state.entries[program] = Entry(folder)
                state.programs[folder.journal] = program
            }
        }
        wake()
    }

    private func changed(_ folders: Set<String>) {
        state.withLock { state in
            for folder in folders { if let program = state.programs[folder] { state.entries[program]?.hasNews = true } }
        }
        wake()
    }

    /// How every program is, by name.
    var snapshot: [ProgramReport] {
        state.withLock { state in
            state.entries.sorted { "\($0.key)" < "\($1.key)" }.compactMap { program, entry in
                guard entry.leaves == nil, let latest = entry.journal.latest else { return nil }
                return ProgramReport(program: program, latest.status, at: latest.position)
            }
        }
    }

    // MARK: Sending

    /// What has been written since the last call, some of it where there is much; nil where there is nothing.
    func nextNews() -> (program: ProgramID, origin: Int64, entries: [JournalEntry])? {
        state.withLock { state in
            for (program, entry) in state.entries where entry.hasNews {
                let news = entry.journal.takeNews()
                if !news.isEmpty { return (program, entry.journal.origin, news) }
                entry.hasNews = false
            }
            return nil
        }
    }

    /// What is to be sent to the hub next. The programs take turns.
    func nextBatch() -> (program: ProgramID, batch: ProgramJournal.Batch)? {
        let now = ContinuousClock.now
        return state.withLock { state in
            let programs = Array(state.entries.keys)
            for step in 0..<programs.count {
                let program = programs[(state.turn + step) % programs.count]
                guard let entry = state.entries[program] else { continue }
                if entry.journal.isOverdue(at: now, after: Self.answerWait) { entry.journal.sendAgain() }
                if let batch = entry.journal.next(at: now) {
                    state.turn += step + 1
                    return (program, batch)
                }
            }
            return nil
        }
    }

    /// What was sent may not have come to the hub.
    func sendAgain() {
        state.withLock { state in state.entries.values.forEach { $0.journal.sendAgain() } }
    }

    func sendAgain(_ program: ProgramID) {
        state.withLock { $0.entries[program]?.journal.sendAgain() }
    }

    /// The hub has all of a program's entries up to that one.
    func hubHas(_ position: JournalPosition, of program: ProgramID) {
        state.withLock { $0.entries[program]?.journal.hubHas(position) }
    }

    /// True where the hub has not answered yet, or has not been told.
    var isBehind: Bool {
        state.withLock { state in state.entries.values.contains { $0.hasNews || !$0.journal.isCommitted } }
    }

    // MARK: Leaving

    /// The program is none of this node's any more. When the hub knows all of it, the folder is removed.
    func forget(_ program: ProgramID, removing folder: String) {
        state.withLock { state in
            if state.entries[program] == nil {
                guard File.exists(folders.watch(of: program).journal) else { return state.left.append(folder) }
                state.entries[program] = Entry(folders.watch(of: program))
            }
            state.entries[program]?.leaves = folder
        }
        wake()
    }

    /// The program is this node's again.
    func keep(_ program: ProgramID) {
        state.withLock { $0.entries[program]?.leaves = nil }
    }

    /// The folders that can be removed now.
    func takeLeft() -> [String] {
        state.withLock { state in
            var paths: [String] = []
            swap(&paths, &state.left)
            for (program, entry) in state.entries {
                guard let leaves = entry.leaves, !entry.hasNews, entry.journal.isCommitted else { continue }
                paths.append(leaves)
                state.programs[entry.journal.folder.journal] = nil
                state.entries[program] = nil
            }
            return paths
        }
    }
}
