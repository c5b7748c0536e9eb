import HubModel

/// How bubblewrap (bwrap(1)) shows a program little of its machine: the system read-only, folders of its own, processes
/// of its own, no devices. The network stays.
///
/// The program's own process group has bubblewrap in it, which would be ended by a signal that is meant for the
/// program: it ignores all signals, and the program does not.
struct Sandbox: Sendable, Hashable {
    /// The path of `bwrap`.
    let executable: String
    /// Arguments that make the system's part of what the program sees.
    let system: [String]
    /// True where RLIMIT_NPROC counts the processes of a user namespace, as since Linux 5.14: every sandbox has one.
    let countsProcesses: Bool

    /// What a program sees besides the system.
    struct View: Sendable, Hashable {
        var readOnly: [String]
        var writable: [String]
    }

    /// In bytes, of each of the folders in memory.
    static let scratchSize = 256 << 20
    /// Of bubblewrap itself, above the program: one outside, and its child inside.
    static let ownProcesses = 2

    private static let tools = "/usr/bin"

    /// The command line that runs `command` inside.
    ///
    /// - Parameters:
    ///   - account: whom it runs as; nil for ourselves, where we are not root.
    ///   - processes: how many it may have, itself included; only where `countsProcesses`.
    func commandLine(
        _ command: [String], view: View, workingDirectory: String, account: Account?, processes: Int64?
    ) -> [String] {
        // SIGCHLD is how bubblewrap hears of the program's end.
        var line = ["\(Self.tools)/env", "--ignore-signal", "--default-signal=CHLD", executable]
        line += ["--unshare-pid", "--unshare-ipc"] + system
        for folder in ["/tmp", "/dev/shm"] {
            line += ["--perms", "1777", "--size", String(Self.scratchSize), "--tmpfs", folder]
        }
        // bubblewrap would make these for root alone.
        for folder in Self.ancestors(of: view.readOnly + view.writable) {
            line += ["--perms", "0755", "--dir", folder]
        }
        for folder in view.readOnly { line += ["--ro-bind", folder, folder] }
        for folder in view.writable { line += ["--bind", folder, folder] }
        line += ["--chdir", workingDirectory, "--", "\(Self.tools)/env", "--default-signal"]
        // Where there is no account, setpriv changes nothing: bubblewrap has done the same. But env would take a path
        // with '=' for a variable.
        line += account?.commandLine([]) ?? ["\(Self.tools)/setpriv", "--no-new-privs", "--"]
        if let processes, countsProcesses {
            // Root's bubblewrap makes no user namespace. In that of others its own process inside is counted.
            if account != nil { line += ["\(Self.tools)/unshare", "--user", "--map-current-user", "--"] }
            line += ["\(Self.tools)/prlimit", "--nproc=\(account == nil ? processes + 1 : processes)", "--"]
        }
        return line + command
    }

    /// All folders above these, the upper ones first, each once.
    static func ancestors(of paths: [String]) -> [String] {
        var ancestors: Set<Substring> = []
        for path in paths {
            for index in path.indices.dropFirst() where path[index] == "/" { ancestors.insert(path[..<index]) }
        }
        return ancestors.map(String.init).sorted()
    }
}
