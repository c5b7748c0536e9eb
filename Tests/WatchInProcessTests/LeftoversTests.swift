import Files
import Glibc
import HubModel
import TestSupport
import Testing

@testable import Watch
@testable import WatchInProcess

@Test func theRecordFileIsThereWhileTheProcessIs() async throws {
    let folder = TemporaryFolder()
    let path = "\(folder.path)/one.json"
    let watch = Watched(shell("echo ready; exec sleep 1000"), recordFile: path)
    await watch.program.start()
    try await watch.wait { $0.lines(.stdout) == ["ready"] }
    let record = try #require(ProcessRecord(readingFrom: path))
    #expect(record.pid == (await watch.program.status.pid))
    #expect(record.name == "test")
    #expect(record.isAlive)
    var information = stat()
    #expect(stat(path, &information) == 0)
    #expect(information.st_mode & 0o777 == 0o600)
    await watch.program.stop(reason: "test over")
    #expect(try Folder.names(in: folder.path).isEmpty)
    #expect(!record.isAlive)
}

@Test func aProgramThatIsStartedAgainOnAFullDiskHasARecord() async throws {
    let folder = TemporaryFolder()
    guard mount("tmpfs", folder.path, "tmpfs", 0, "size=16k") == 0 else {
        print("a full disk was not tried: a small file system cannot be mounted here")
        return
    }
    defer { umount2(folder.path, Int32(MNT_DETACH)) }
    let path = "\(folder.path)/one.json"
    var policy = RestartPolicy.always
    policy.startSeconds = .zero
    policy.backoffFirst = .milliseconds(300)
    let watch = Watched(shell("exec sleep 1000", policy), recordFile: path)
    await watch.program.start()
    try await watch.wait { $0.states.last == .running }
    let first = try #require(ProcessRecord(readingFrom: path))

    let descriptor = open("\(folder.path)/ballast", O_WRONLY | O_CREAT, 0o600)
    defer { close(descriptor) }
    // Room that anybody makes is taken at once.
    func fill() {
        let page = [UInt8](repeating: 0, count: 4 << 10)
        while write(descriptor, page, page.count) > 0 {}
        #expect(errno == ENOSPC)
    }
    for _ in 1...3 {
        let runs = watch.statuses.last?.run ?? 0
        await watch.program.send(signal: SIGKILL)
        try await watch.wait {
            fill()
            return $0.statuses.last.map { $0.run > runs && $0.state == .running } ?? false
        }
    }
    let last = try #require(ProcessRecord(readingFrom: path))
    #expect(last.pid == (await watch.program.status.pid))
    #expect(last.isAlive && !first.isAlive)
    await watch.program.stop(reason: "test over")
    #expect(try Folder.names(in: folder.path) == ["ballast"])
}

@Test func leftoversAreEndedByTheirRecords() async throws {
    let folder = TemporaryFolder()
    // As left by a supervisor that was killed: alive, with a record. The second one does not listen.
    let gentle = Watched("(trap '' TERM; sleep 1000) & echo $!; sleep 0.2; wait", .never)
    let stubborn = Watched("trap '' TERM; echo ready; while :; do sleep 0.1; done", .never)
    let stranger = Watched("echo ready; exec sleep 1000", .never)
    for watch in [gentle, stubborn, stranger] {
        await watch.program.start()
        try await watch.wait { !$0.lines(.stdout).isEmpty }
    }
    func record(_ name: String, _ watch: Watched) async throws -> ProcessRecord {
        let pid = try #require(await watch.program.status.pid)
        return try #require(ProcessRecord(name: name, pid: pid))
    }
    try await record("gentle", gentle).write(to: "\(folder.path)/a.json")
    try await record("stubborn", stubborn).write(to: "\(folder.path)/b.json")
    // The number was taken by another process since, or the machine was started again.
    let other = try await record("stranger", stranger)
    try ProcessRecord(name: "stranger", pid: other.pid, startTime: other.startTime - 1, boot: other.boot)
        .write(to: "\(folder.path)/c.json")
    try ProcessRecord(name: "stranger", pid: other.pid, startTime: other.startTime, boot: "before")
        .write(to: "\(folder.path)/d.json")
    try File.replace("\(folder.path)/e.txt", with: "no record".utf8)
    try File.replace("\(folder.path)/f.json", with: #"{"name":"all","pid":1,"start_time":0,"boot":""}"#.utf8)

    // Long enough for who listens, on a busy machine too.
    let names = await endLeftovers(in: folder.path, stopWait: .seconds(5))
    #expect(names == ["gentle", "stubborn"])
    #expect(await gentle.program.waitUntilIdle().signal == SIGTERM)
    #expect(await stubborn.program.waitUntilIdle().signal == SIGKILL)
    try await waitUntilGone(try #require(Int32(gentle.lines(.stdout)[0])))
    #expect(await stranger.program.status.state == .running)
    await stranger.program.stop(reason: "test over")
    // The records of those that were ended are written over when they are started again.
    #expect(try Folder.names(in: folder.path) == ["a.json", "b.json", "e.txt", "f.json"])
    #expect(await endLeftovers(in: folder.path).isEmpty)
    #expect(try Folder.names(in: folder.path) == ["e.txt", "f.json"])
    #expect(await endLeftovers(in: "\(folder.path)/nowhere").isEmpty)
}
