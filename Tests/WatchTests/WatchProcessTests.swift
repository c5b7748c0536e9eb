import Files
import Glibc
import HubModel
import TestSupport
import Testing

@testable import Watch

/// A keeper with its watches, as processes.
private final class Kept {
    let folder = TemporaryFolder()
    private let keeper: Int32

    init() throws {
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer { close(null) }
        keeper = try ProgramProcess.spawn(
            builtProgram("sensorhub-watch"), arguments: ["--keep", folder.path], streams: (null, null, null))
        for _ in 0..<12_000 where !Keeper.isAtWork(in: folder.path) { usleep(5_000) }
    }

    deinit {
        // Again and again: a watch may be on its way.
        for _ in 0..<1_000 {
            for name in (try? Folder.names(in: folder.path)) ?? [] {
                _ = WatchCommand.stop(reason: "the test is over").send(to: WatchFolder("\(folder.path)/\(name)"))
            }
            _ = Keeper.ask(.leave, in: folder.path)
            if waitpid(keeper, nil, WNOHANG) != 0 { return }
            usleep(20_000)
        }
        Issue.record("the keeper does not end")
        kill(keeper, SIGKILL)
        waitpid(keeper, nil, 0)
    }

    func folder(_ name: String) -> WatchFolder { WatchFolder("\(folder.path)/\(name)") }

    @discardableResult
    func watch(
        _ name: String, _ script: String, _ restart: RestartPolicy = .unexpected, input: ProgramInput = .none,
        limits: [ResourceLimit] = [], wrappers: Int = 0, start: Int64 = 1
    ) throws -> WatchFolder {
        let folder = folder(name)
        try Folder.make(folder.root)
        var specification = ProgramSpecification(
            executable: "/bin/sh", arguments: ["-c", script], environment: ["PATH": "/usr/bin:/bin"], input: input,
            restart: restart, stopWait: .seconds(5))
        specification.resourceLimits = limits
        specification.wrappers = wrappers
        try folder.write(WatchFolder.Order(specification, generation: 0, start: start))
        #expect(Keeper.ask(.watch(folder), in: self.folder.path))
        return folder
    }
}

extension WatchFolder {
    fileprivate var entries: [JournalEntry] {
        var reader = JournalReader(journal)
        var entries: [JournalEntry] = []
        while let batch = reader.entries(after: entries.last?.number ?? 0, limit: 10_000), !batch.entries.isEmpty {
            entries += batch.entries
        }
        return entries
    }

    fileprivate var statuses: [ProgramStatus] {
        entries.compactMap { if case .state(let memory) = $0.content { memory.status } else { nil } }
    }
    fileprivate var states: [ProgramState] { statuses.map(\.state) }
    fileprivate var lines: [String] {
        entries.compactMap { if case .line(let line, _) = $0.content { line.text } else { nil } }
    }

    /// The process of the watch.
    fileprivate var watchProcess: Int32? {
        for name in (try? Folder.names(in: "/proc")) ?? [] {
            guard let pid = Int32(name), let bytes = try? File.bytes(of: "/proc/\(pid)/cmdline"),
                bytes.split(separator: 0).dropFirst().first.map({ String(decoding: $0, as: UTF8.self) }) == root,
                ProcessStat(pid: pid)?.isZombie == false
            else { continue }
            return pid
        }
        return nil
    }

    fileprivate func wait(
        _ what: String, seconds: Int = 60, at location: SourceLocation = #_sourceLocation,
        _ condition: (WatchFolder) -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while !condition(self) {
            try #require(
                ContinuousClock.now < deadline, "\(what) never came: \(statuses) \(lines.suffix(10))",
                sourceLocation: location)
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}

@Test func aWatchedProgramFromStartToEnd() async throws {
    let kept = try Kept()
    let folder = try kept.watch(
        "a", "echo one; echo two >&2; sleep 0.5; printf three; exit 3", RestartPolicy(.never, startSeconds: .zero))
    try await folder.wait("the end") { $0.states.last == .exited }
    #expect(folder.states == [.starting, .running, .exited])
    #expect(folder.statuses.last?.exitCode == 3 && folder.statuses.last?.pid == nil)
    #expect(folder.statuses[0].pid == folder.statuses[1].pid && folder.statuses[0].pid != nil)
    #expect(Set(folder.lines.prefix(2)) == ["one", "two"] && folder.lines.last == "three")
    #expect(folder.entries.map(\.number) == Array(1...Int64(folder.entries.count)))
    try await folder.wait("the end of the watch") { !$0.isWatched }
    // Idle programs have no watch; a new start gets one, and the runs go on.
    try kept.watch("a", "exit 0", .never, start: 2)
    try await folder.wait("the second run") { $0.statuses.last?.run == 2 && $0.states.last == .exited }
    // The same start is not wanted twice.
    try await folder.wait("the end of the watch") { !$0.isWatched }
    try kept.watch("a", "exit 0", .never, start: 2)
    try await Task.sleep(for: .milliseconds(300))
    #expect(folder.statuses.last?.run == 2)
}

@Test func killedWatchesLoseNothingAndStartNothingTwice() async throws {
    let kept = try Kept()
    let rest = "\(kept.folder.path)/rest"
    let folder = try kept.watch(
        "a",
        """
        i=0
        while [ $i -lt 3000 ]; do
            i=$((i+1)); echo $$ $i; [ $((i % 20)) -eq 0 ] && sleep 0.02
            [ $i -eq 20 ] && until [ -e \(rest) ]; do sleep 0.05; done
        done
        exit 7
        """, RestartPolicy(.never, startSeconds: .zero))
    // The program waits for the first one: a slow machine might come to none.
    try await folder.wait("a line") { !$0.lines.isEmpty }
    var kills = kill(try #require(folder.watchProcess), SIGKILL) == 0 ? 1 : 0
    try kept.folder.write("rest", "")
    let deadline = ContinuousClock.now + .seconds(240)
    while folder.states.last != .exited {
        try await Task.sleep(for: .milliseconds(Int.random(in: 20...200)))
        if let watch = folder.watchProcess, kill(watch, SIGKILL) == 0 { kills += 1 }
        try #require(ContinuousClock.now < deadline, "it never ended: \(folder.statuses)")
    }
    #expect(kills > 0)
    #expect(folder.statuses.last?.exitCode == 7)
    let pid = try #require(folder.statuses.first?.pid)
    let numbers = folder.lines.map { $0.hasPrefix("\(pid) ") ? Int($0.split(separator: " ")[1]) ?? -1 : -2 }
    // Where they are not as they should be, that is said briefly.
    let breaks = zip(numbers, numbers.dropFirst()).filter { $1 != $0 + 1 }
    #expect(breaks.isEmpty && numbers.first == 1 && numbers.last == 3_000, "\(breaks) of \(numbers.count) lines")
    #expect(Set(folder.statuses.map(\.run)) == [1])
}

@Test func theEndOfAProgramWithoutItsWatchIsKnown() async throws {
    let kept = try Kept()
    let folder = try kept.watch("a", "echo $$; exec sleep 1000")
    try await folder.wait("running") { $0.states.last == .running }
    let pid = try #require(folder.liveProcess)
    // Both at once: the keeper waits for the program.
    kill(try #require(folder.watchProcess), SIGKILL)
    kill(pid, SIGUSR1)
    try await folder.wait("the next run") { $0.statuses.last?.run == 2 && $0.states.last == .running }
    #expect(folder.statuses.first { $0.state == .exited }?.signal == SIGUSR1)
    #expect(folder.liveProcess != pid)
}

@Test func aKilledKeeperIsNoLoss() async throws {
    var kept: Kept? = try Kept()
    let path = kept!.folder.path
    let folder = try kept!.watch("a", "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done")
    try await folder.wait("running") { $0.states.last == .running && $0.lines == ["up"] }
    let pid = try #require(folder.liveProcess)
    for name in try Folder.names(in: "/proc") {
        guard let keeper = Int32(name), let bytes = try? File.bytes(of: "/proc/\(keeper)/cmdline"),
            bytes.split(separator: 0).map({ String(decoding: $0, as: UTF8.self) }).suffix(2) == ["--keep", path]
        else { continue }
        kill(keeper, SIGKILL)
    }
    try await folder.wait("the end of the keeper") { _ in !Keeper.isAtWork(in: path) }
    #expect(folder.isWatched && folder.liveProcess == pid)
    // It is asked for all the same.
    #expect(WatchCommand.stop(reason: "test").send(to: folder))
    try await folder.wait("stopped") { $0.states.last == .stopped }
    #expect(folder.statuses.last?.exitCode == 5)
    #expect(folder.statuses.last?.reason == "asked to stop: test")
    kept = nil
}

@Test func inputAndSignalsReachTheRunTheyAreFor() async throws {
    let kept = try Kept()
    let folder = try kept.watch(
        "a", "trap 'echo hup' HUP; echo up; while ! read x; do sleep 0.05; done; echo got $x; cat; echo end; exit 4",
        .never, input: .pipe)
    try await folder.wait("running") { $0.states.last == .running && $0.lines == ["up"] }
    #expect(WatchCommand.signal(SIGHUP, run: 2).send(to: folder))
    #expect(WatchCommand.input(Array("wrong run\n".utf8), isEnd: true, run: 2).send(to: folder))
    #expect(WatchCommand.signal(SIGHUP, run: 1).send(to: folder))
    try await folder.wait("the signal") { $0.lines.contains("hup") }
    #expect(WatchCommand.input(Array("hello\n".utf8), isEnd: false, run: 1).send(to: folder))
    try await folder.wait("the input") { $0.lines.contains("got hello") }
    let block = [UInt8](repeating: 0x78, count: 2_000) + [0x0A]
    for _ in 0..<100 {
        while !WatchCommand.input(block, isEnd: false, run: 1).send(to: folder) {
            try await Task.sleep(for: .milliseconds(5))
        }
    }
    #expect(WatchCommand.input([], isEnd: true, run: 1).send(to: folder))
    try await folder.wait("the end") { $0.states.last == .exited }
    #expect(folder.statuses.last?.exitCode == 4)
    #expect(folder.lines.filter { $0.utf8.count == 2_000 }.count == 100 && folder.lines.last == "end")
    #expect(!folder.lines.contains("wrong run") && folder.lines.filter { $0 == "hup" }.count == 1)
}

@Test func whatTheNextAgentTellsAgainIsDoneOnce() async throws {
    let kept = try Kept()
    let folder = try kept.watch("a", "trap 'echo hup' HUP; echo up; cat; cat; exit 4", .never, input: .pipe)
    try await folder.wait("running") { $0.states.last == .running && $0.lines == ["up"] }
    for _ in 0..<2 {
        for (number, word) in ["one", "two"].enumerated() {
            let part = RequestPart(of: "me/programs/send/1", number: Int64(number))
            #expect(WatchCommand.input(Array("\(word)\n".utf8), isEnd: false, run: 1, part: part).send(to: folder))
        }
    }
    try await folder.wait("the input") { $0.lines.contains("two") }
    // The longest that there may be.
    let name = RequestPart(of: String(repeating: "n", count: 200), number: 99)
    let block = [UInt8](repeating: 0x78, count: WatchCommand.maximumInput - 1) + [0x0A]
    #expect(WatchCommand.input(block, isEnd: true, run: .max, part: name).send(to: folder))
    for _ in 0..<2 { #expect(WatchCommand.signal(SIGHUP, run: 1, part: RequestPart(of: "2")).send(to: folder)) }
    #expect(WatchCommand.input([], isEnd: true, run: 1).send(to: folder))
    try await folder.wait("the end") { $0.states.last == .exited }
    #expect(folder.lines.filter { $0 == "one" || $0 == "two" } == ["one", "two"])
    #expect(folder.lines.filter { $0 == "hup" }.count <= 1)
}

@Test func signalsWaitForAProgramThatIsStillBeingWrapped() async throws {
    let kept = try Kept()
    // As bubblewrap: what it begins with ignores all signals, and so does the program until it is told not to.
    let folder = try kept.watch(
        "a", "trap '' TERM HUP; (sleep 0.5; exec env --default-signal sh -c 'sleep 1000; echo no'); exit $?", .never,
        wrappers: 1)
    try await folder.wait("the start") { !$0.states.isEmpty }
    #expect(WatchCommand.stop(reason: "the test wants it").send(to: folder))
    try await folder.wait("the end", seconds: 60) { $0.states.last == .stopped }
    #expect(folder.statuses.last?.signal == SIGTERM, "heard, and not killed at last")
    #expect(!folder.lines.contains("no"))
    // One that is ignored for good is not waited for.
    try kept.watch(
        "b", "trap '' HUP; trap : USR1; (trap 'echo usr' USR1; echo up; while :; do sleep 0.05; done); exit $?", .never,
        wrappers: 1)
    let ignoring = kept.folder("b")
    try await ignoring.wait("its start") { $0.lines.contains("up") }
    #expect(WatchCommand.signal(SIGHUP, run: 1).send(to: ignoring))
    #expect(WatchCommand.signal(SIGUSR1, run: 1).send(to: ignoring))
    try await ignoring.wait("the second signal", seconds: 60) { $0.lines.contains("usr") }
}

@Test func theInputOutlivesTheWatch() async throws {
    let kept = try Kept()
    let folder = try kept.watch("a", "while read x; do echo got $x; done; echo end; exit 4", .never, input: .pipe)
    try await folder.wait("running") { $0.states.last == .running }
    for word in ["one", "two"] {
        let watch = try #require(folder.watchProcess)
        kill(watch, SIGKILL)
        try await folder.wait("another watch") { folder in
            folder.watchProcess.map { $0 != watch } ?? false && folder.isWatched
        }
        try await folder.wait("that it takes input") { _ in
            WatchCommand.input(Array("\(word)\n".utf8), isEnd: false, run: 1).send(to: folder)
        }
        try await folder.wait("the input") { $0.lines.contains("got \(word)") }
    }
    #expect(WatchCommand.input([], isEnd: true, run: 1).send(to: folder))
    try await folder.wait("the end") { $0.states.last == .exited }
    #expect(folder.lines.last == "end" && folder.statuses.last?.exitCode == 4)
}

@Test func limitsHold() async throws {
    let kept = try Kept()
    let folder = try kept.watch(
        "a", "ulimit -n; ulimit -Hn; ulimit -c", .never,
        limits: [ResourceLimit(.openFiles, 100), ResourceLimit(.coreSize, 0)])
    try await folder.wait("the end") { $0.states.last == .exited }
    #expect(folder.lines == ["100", "100", "0"])
}

@Test func whoeverHasLeftTheGroupKeepsNobodyWaiting() async throws {
    let kept = try Kept()
    // Until it has left: the sixth field of stat is the session (proc(5)).
    let hasLeft = #"[ "$(cut -d ' ' -f 6 /proc/$!/stat)" = $! ]"#
    let folder = try kept.watch(
        "a", "setsid sleep 1000 & until \(hasLeft); do sleep 0.05; done; echo $!; sleep 1000 & exit 0",
        RestartPolicy(.never, startSeconds: .zero))
    try await folder.wait("the end") { $0.states.last == .exited }
    let stranger = try #require(folder.lines.first.flatMap { Int32($0) })
    #expect(kill(stranger, SIGKILL) == 0)
}

@Test(arguments: [
    ("/nowhere/x", "the program '/nowhere/x' does not exist"),
    ("no-such-program", "the program 'no-such-program' is not in PATH"),
    ("/etc/passwd", "the program '/etc/passwd' may not be executed"),
])
func aProgramThatCannotBeExecutedSaysWhy(path: String, reason: String) async throws {
    let kept = try Kept()
    let folder = kept.folder("a")
    try Folder.make(folder.root)
    try folder.write(
        WatchFolder.Order(ProgramSpecification(executable: path, restart: .never), generation: 0, start: 1))
    #expect(Keeper.ask(.watch(folder), in: kept.folder.path))
    try await folder.wait("fatal") { $0.states.last == .fatal }
    #expect(folder.statuses.last?.reason == reason)
}
