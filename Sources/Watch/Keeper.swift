import CWatch
import Files
import Glibc
import HubModel
package import SimdJSON

/// The parent of all watches of a machine. It starts a watch anew that was killed, waits in its place for the program that
/// the watch has left behind, and tells the next watch how that has ended. It does nothing else, so that there is little
/// it could die of; where it is killed itself, watches and programs stay, and the agent starts another.
package final class Keeper {
    /// What a keeper can be asked for.
    package enum Command {
        /// To watch the program of a folder.
        case watch(WatchFolder)
        /// To hold the input of a folder's program open, so that it does not end with the watch.
        case holdInput(WatchFolder)
        /// To let it end.
        case endInput(WatchFolder)
        /// To end as soon as it has no watches.
        case leave

        var json: JSON {
            switch self {
            case .watch(let folder): ["watch": .string(folder.root)]
            case .holdInput(let folder): ["hold_input": .string(folder.root)]
            case .endInput(let folder): ["end_input": .string(folder.root)]
            case .leave: ["leave": true]
            }
        }

        init?(_ json: JSON) {
            if let folder = json["watch"]?.string {
                self = .watch(WatchFolder(folder))
            } else if let folder = json["hold_input"]?.string {
                self = .holdInput(WatchFolder(folder))
            } else if let folder = json["end_input"]?.string {
                self = .endInput(WatchFolder(folder))
            } else if json["leave"]?.bool == true {
                self = .leave
            } else {
                return nil
            }
        }
    }

    private struct Ward {
        let folder: WatchFolder
        /// The program's pipes: what is in them stays there while nobody else has them open.
        let pipes: [Int32]
        var started = ContinuousClock.now
        var backoff = Backoff(first: .milliseconds(50), cap: .seconds(10))

        init(_ folder: WatchFolder) {
            self.folder = folder
            pipes = [OutputLine.Stream.stdout, .stderr].compactMap { try? CommandPipe.open(folder.pipe($0)) }
        }
    }

    private let root: String
    private let program: String
    private let lock: FolderLock
    private var control: CommandPipe
    /// Pipes that are the input of programs.
    private var inputs: [WatchFolder: Int32] = [:]
    private let signals: Int32
    /// Watches, by their processes.
    private var wards: [Int32: Ward] = [:]
    /// Programs that have lost their watch, by their processes.
    private var orphans: [Int32: (folder: WatchFolder, run: Int64)] = [:]
    /// Folders with a watch that an earlier keeper has started.
    private var strangers: [WatchFolder: Ward] = [:]
    private var waiting: [(ward: Ward, at: ContinuousClock.Instant)] = []
    private var isLeaving = false

    /// A watch that lives on after that has no fault of its own.
    private static let goodLife = Duration.seconds(10)
    private static let lookInterval = Duration.seconds(10)

    private static func control(in root: String) -> String { "\(root)/keeper" }

    /// - Parameters:
    ///   - root: a folder of its own.
    ///   - program: the path of `sensorhub-watch`.
    /// - Throws: `WatchError` where another keeper is at work.
    package init(_ root: String, program: String) throws {
        self.root = root
        self.program = program
        try Folder.make(root)
        guard let lock = try FolderLock("\(root)/keeper.lock") else {
            throw WatchError("\(root): another keeper is at work here")
        }
        self.lock = lock
        control = try CommandPipe(Self.control(in: root))
        signals = signalDescriptor([SIGTERM, SIGINT, SIGHUP, SIGCHLD])
        sh_open_many_files()
        guard sh_adopt_orphans() == 0 else { throw WatchError("orphans cannot be adopted: \(errno)") }
    }

    /// True while a keeper is at work in a folder.
    package static func isAtWork(in root: String) -> Bool {
        CommandPipe.hasListener(control(in: root))
    }

    /// Asks the keeper of a folder for something.
    ///
    /// - Returns: false where there is none.
    package static func ask(_ command: Command, in root: String) -> Bool {
        CommandPipe.send(command.json, to: control(in: root))
    }

    /// Returns when it is not needed any more.
    package func run() {
        var look = ContinuousClock.now + Self.lookInterval
        while !(isLeaving && wards.isEmpty && waiting.isEmpty && strangers.isEmpty) {
            let now = ContinuousClock.now
            var next = look
            for entry in waiting { next = min(next, entry.at) }
            if !strangers.isEmpty { next = min(next, now + .seconds(1)) }
            var descriptors = [
                pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
                pollfd(fd: control.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            let pause = next <= now ? Duration.zero : next - now + .milliseconds(1)
            poll(&descriptors, nfds_t(descriptors.count), Int32(pause / .milliseconds(1)))
            while case let signal = sh_next_signal(signals), signal != 0 {
                // Watches have had the same, where it was for all.
                if signal != SIGCHLD { isLeaving = true }
            }
            reap()
            takeCommands()
            startWaiting()
            lookAtStrangers()
            if ContinuousClock.now >= look {
                look = ContinuousClock.now + Self.lookInterval
                if lock.isGone { return }
            }
        }
    }

    private func takeCommands() {
        for json in control.take() {
            switch Command(json) {
            case .watch(let folder)?: begin(folder)
            case .holdInput(let folder)?: holdInput(of: folder)
            case .endInput(let folder)?: endInput(of: folder)
            case .leave?: isLeaving = true
            case nil: break
            }
        }
    }

    private func holdInput(of folder: WatchFolder) {
        endInput(of: folder)
        let descriptor = open(folder.input, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW)
        if descriptor >= 0 { inputs[folder] = descriptor }
    }

    private func endInput(of folder: WatchFolder) {
        if let descriptor = inputs.removeValue(forKey: folder) { close(descriptor) }
    }

    // MARK: Watches

    private func begin(_ folder: WatchFolder) {
        guard folder.hasOrder else { return }
        isLeaving = false
        guard !wards.values.contains(where: { $0.folder == folder }),
            !waiting.contains(where: { $0.ward.folder == folder }), strangers[folder] == nil
        else { return }
        if folder.isWatched {
            strangers[folder] = Ward(folder)
        } else {
            start(Ward(folder))
        }
    }

    /// Their ends are not ours to be told of.
    private func lookAtStrangers() {
        for (folder, ward) in strangers where !folder.isWatched {
            strangers[folder] = nil
            // One that has nothing more to do takes it away.
            if File.exists(folder.process) { start(ward) } else { letGo(ward) }
        }
    }

    private func start(_ ward: Ward) {
        var ward = ward
        do throws(LaunchError) {
            let pid = try spawn(ward.folder)
            ward.started = .now
            wards[pid] = ward
        } catch {
            waiting.append((ward, .now + ward.backoff.next()))
        }
    }

    /// Whoever leaves starts a watch only for a program that is there.
    private func isNeeded(_ folder: WatchFolder) -> Bool {
        folder.hasOrder && (!isLeaving || File.exists(folder.process))
    }

    private func letGo(_ ward: Ward) {
        for pipe in ward.pipes { close(pipe) }
        endInput(of: ward.folder)
    }

    private func startWaiting() {
        let now = ContinuousClock.now
        for entry in waiting where !isNeeded(entry.ward.folder) { letGo(entry.ward) }
        waiting.removeAll { !isNeeded($0.ward.folder) }
        let due = waiting.filter { $0.at <= now }
        waiting.removeAll { $0.at <= now }
        for entry in due { start(entry.ward) }
    }

    private func spawn(_ folder: WatchFolder) throws(LaunchError) -> Int32 {
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        guard null >= 0 else { throw LaunchError(reason: "/dev/null cannot be opened") }
        defer { close(null) }
        let log = open("\(folder.root)/watch.log", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        defer { if log >= 0 { close(log) } }
        return try ProgramProcess.spawn(
            program, arguments: [folder.root, root], streams: (null, null, log >= 0 ? log : null))
    }

    private func reap() {
        while true {
            var info = siginfo_t()
            // WNOWAIT leaves the zombie: as long as it is there, its number is nobody else's.
            guard waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 else { return }
            let pid = info._sifields._sigchld.si_pid
            guard pid != 0 else { return }
            if orphans[pid] != nil { _ = kill(-pid, SIGKILL) }
            let group = ControlGroup.path(of: pid)
            var status: Int32 = 0
            guard waitpid(pid, &status, 0) == pid else { continue }
            if let (folder, run) = orphans.removeValue(forKey: pid) {
                try? EndingRecord(pid: pid, run: run, status: status, group: group).write(to: folder.ending)
            } else if let ward = wards.removeValue(forKey: pid) {
                ended(ward, status)
            } else {
                endedUnknown(pid, status, group)
            }
        }
    }

    private func ended(_ ward: Ward, _ status: Int32) {
        // It says itself when there is nothing more to do.
        guard status != 0, isNeeded(ward.folder) else { return letGo(ward) }
        var ward = ward
        if let record = ProcessRecord(readingFrom: ward.folder.process), record.boot == ProcessRecord.boot,
            let run = Int64(record.name)
        {
            orphans[record.pid] = (ward.folder, run)
        }
        if ContinuousClock.now - ward.started > Self.goodLife {
            ward.backoff.reset()
            start(ward)
        } else {
            waiting.append((ward, .now + ward.backoff.next()))
        }
    }

    /// A program can end together with its watch, and be waited for first.
    private func endedUnknown(_ pid: Int32, _ status: Int32, _ group: String?) {
        for folder in wards.values.map(\.folder) + waiting.map(\.ward.folder) {
            guard let record = ProcessRecord(readingFrom: folder.process), record.pid == pid,
                let run = Int64(record.name)
            else { continue }
            try? EndingRecord(pid: pid, run: run, status: status, group: group).write(to: folder.ending)
        }
    }
}
