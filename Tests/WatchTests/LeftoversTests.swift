import Glibc
import HubModel
import Testing

@testable import Watch

@Test func theRecordFileIsThereWhileTheProcessIs() async throws {
    try await withTemporaryFolder { folder in
        let path = "\(folder)/one.json"
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
        #expect(access(path, F_OK) != 0)
        #expect(!record.isAlive)
    }
}

@Test func leftoversAreEndedByTheirRecords() async throws {
    try await withTemporaryFolder { folder in
        // As left by a supervisor that was killed: alive, with a record. The second one does not listen.
        let gentle = Watched("sleep 1000 & echo $!; wait", .never)
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
        try await record("gentle", gentle).write(to: "\(folder)/a.json")
        try await record("stubborn", stubborn).write(to: "\(folder)/b.json")
        // The number was taken by another process since, or the machine was started again.
        let other = try await record("stranger", stranger)
        try ProcessRecord(name: "stranger", pid: other.pid, startTime: other.startTime - 1, boot: other.boot)
            .write(to: "\(folder)/c.json")
        try ProcessRecord(name: "stranger", pid: other.pid, startTime: other.startTime, boot: "before")
            .write(to: "\(folder)/d.json")
        try PrivateFile.write("no record".utf8, to: "\(folder)/e.txt")
        try PrivateFile.write(#"{"name":"all","pid":1,"start_time":0,"boot":""}"#.utf8, to: "\(folder)/f.json")

        let names = await endLeftovers(in: folder, stopWait: .milliseconds(500))
        #expect(names == ["gentle", "stubborn"])
        #expect(await gentle.program.waitUntilIdle().signal == SIGTERM)
        #expect(await stubborn.program.waitUntilIdle().signal == SIGKILL)
        try await waitUntilGone(try #require(Int32(gentle.lines(.stdout)[0])))
        #expect(await stranger.program.status.state == .running)
        await stranger.program.stop(reason: "test over")
        for name in ["a", "b", "c", "d"] { #expect(access("\(folder)/\(name).json", F_OK) != 0) }
        #expect(access("\(folder)/e.txt", F_OK) == 0)
        #expect(await endLeftovers(in: "\(folder)/nowhere").isEmpty)
    }
}

@Test func aFileIsReplacedAsAWhole() async throws {
    try await withTemporaryFolder { folder in
        try Folder.make("\(folder)/a/b/c")
        let path = "\(folder)/a/b/c/file"
        try PrivateFile.write("one".utf8, to: path)
        try PrivateFile.write("two".utf8, to: path, isDurable: true)
        #expect(try PrivateFile.read(path) == Array("two".utf8))
        #expect(throws: (any Error).self) { try PrivateFile.read(path, limit: 2) }
        #expect(throws: (any Error).self) { try PrivateFile.write("x".utf8, to: "\(folder)/none/file") }
    }
}
