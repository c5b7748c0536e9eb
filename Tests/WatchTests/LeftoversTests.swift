import Files
import Glibc
import HubModel
import TestSupport
import Testing

@testable import Watch

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

    let names = await endLeftovers(in: folder.path, stopWait: .milliseconds(500))
    #expect(names == ["gentle", "stubborn"])
    #expect(await gentle.program.waitUntilIdle().signal == SIGTERM)
    #expect(await stubborn.program.waitUntilIdle().signal == SIGKILL)
    try await waitUntilGone(try #require(Int32(gentle.lines(.stdout)[0])))
    #expect(await stranger.program.status.state == .running)
    await stranger.program.stop(reason: "test over")
    for name in ["a", "b", "c", "d"] { #expect(access("\(folder.path)/\(name).json", F_OK) != 0) }
    #expect(access("\(folder.path)/e.txt", F_OK) == 0)
    #expect(await endLeftovers(in: "\(folder.path)/nowhere").isEmpty)
}
