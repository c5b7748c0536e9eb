import Files
import Glibc
import HubModel
import Watch

/// Where the agent keeps what, below its data folder. Everything is for its owner alone.
struct AgentFolders: Sendable {
    let root: String

    /// A password for each program.
    var secrets: String { "\(root)/secrets" }
    var programs: String { "\(root)/programs" }
    /// Unpacked apps.
    var apps: String { "\(root)/apps" }
    /// The files of one version of an app.
    func app(_ app: Identifier, sha256: String) -> String { "\(apps)/\(app)-\(sha256.prefix(12))" }
    /// Python environments.
    var environments: String { "\(root)/environments" }
    /// The platform library for Python as wheels, with what it needs.
    var wheels: String { "\(root)/wheels" }
    /// What names the processes that prepare something.
    var records: String { "\(root)/running" }
    /// Of the parent of all watches.
    var keeper: String { "\(root)/keeper" }
    var pipCache: String { "\(root)/pip-cache" }
    /// What is being removed.
    private var trash: String { "\(root)/trash" }
    /// The last plan from the hub.
    var plan: String { "\(root)/plan.json" }
    private var lock: String { "\(root)/lock" }

    func program(_ program: ProgramID) -> String { "\(programs)/\(program)" }
    /// Where the program's watch is at work.
    func watch(of program: ProgramID) -> WatchFolder { WatchFolder("\(self.program(program))/watch") }
    /// What the program itself keeps. A driver's stays without its sensor; an algorithm's goes with its instance.
    func state(of program: ProgramID) -> String { "\(self.program(program))/state" }

    /// For a journal that is begun now: later than all before, whatever the clock says.
    var newJournalOrigin: Int64 {
        let path = "\(root)/journal-origin"
        let last = (try? File.text(of: path, limit: 32)).flatMap { Int64($0) } ?? 0
        let origin = max(microsecondsNow(), last + 1)
        try? File.replace(path, with: String(origin).utf8)
        return origin
    }

    /// The programs that have left something which goes with them: a journal, or an algorithm's folder.
    var placedPrograms: [ProgramID] {
        known.filter { $0.kind != .driver || File.exists(watch(of: $0).root) }
    }

    var programsWithJournals: [ProgramID] { known.filter { File.exists(watch(of: $0).journal) } }

    private var known: [ProgramID] {
        ((try? Folder.names(in: programs)) ?? []).compactMap { ProgramID(description: $0) }
    }

    /// Takes a folder away; `emptyTrash` removes it.
    func discard(_ folder: String) {
        let name = folder.replacing("/", with: "-")
        if rename(folder, "\(trash)/\(microsecondsNow())\(name)") != 0, errno != ENOENT { try? Folder.remove(folder) }
    }

    func emptyTrash() {
        for name in (try? Folder.names(in: trash)) ?? [] { try? Folder.remove("\(trash)/\(name)") }
    }

    /// Makes the folders, and takes the root for this process.
    ///
    /// - Returns: a descriptor that holds the root until `release`.
    /// - Throws: `AgentError` when another agent has it, or it cannot be written.
    func prepare() throws(AgentError) -> Int32 {
        do {
            for folder in [root, secrets, programs, apps, environments, wheels, records, pipCache, trash] {
                try Folder.make(folder)
            }
        } catch {
            throw AgentError("the data folder \(root) cannot be made: \(error)")
        }
        // It may have been made by somebody with other ideas.
        guard chmod(root, 0o700) == 0 else { throw AgentError("\(root): \(String(cString: strerror(errno)))") }
        let descriptor = open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw AgentError("\(lock): \(String(cString: strerror(errno)))") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw AgentError(
                "another agent uses the data folder \(root): stop it, or give this one a folder of its own")
        }
        return descriptor
    }

    /// Lets another agent have the root. Closing alone would not do while a program that is just being started still has
    /// a copy of the descriptor.
    func release(_ descriptor: Int32) {
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }
}
