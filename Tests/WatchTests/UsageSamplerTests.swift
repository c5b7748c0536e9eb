import Glibc
import HubModel
import Testing

@testable import Watch

/// A shell that is a session leader, as programs are, and a child of ours.
private func withProgram(_ script: String, _ body: (Int32) async throws -> Void) async throws {
    let null = open("/dev/null", O_RDWR | O_CLOEXEC)
    let pid = try ProgramProcess.spawn("/bin/sh", arguments: ["-c", script], streams: (null, null, null))
    defer {
        close(null)
        kill(-pid, SIGKILL)
        waitpid(pid, nil, 0)
    }
    try await body(pid)
}

/// Samples until it is as wanted.
private func sample(
    _ sampler: UsageSampler, _ pid: Int32, until isWanted: (ProgramUsage) -> Bool
) async throws -> ProgramUsage {
    var last: ProgramUsage?
    for _ in 0..<100 {
        try await Task.sleep(for: .milliseconds(200))
        last = sampler.sample(["p": ProcessRecord(name: "1", pid: pid)!]).programs["p"]
        if let last, isWanted(last) { return last }
    }
    return try #require(last)
}

@Test func aProgramIsMeasuredWithAChildThatHasLeftItsSession() async throws {
    // The child burns, in a session of its own.
    try await withProgram(
        """
        exec 3</dev/null 4</dev/null
        setsid sh -c 'ulimit -t 60; while :; do :; done' &
        trap 'kill $! ; exit 0' TERM
        wait
        """
    ) { pid in
        let sampler = UsageSampler()
        let usage = try await sample(sampler, pid) { $0.processes >= 2 && ($0.cpuPercent ?? 0) > 20 }
        #expect((usage.cpuPercent ?? 0) > 20)
        #expect(usage.processes == 2 && usage.threads == 2)
        #expect((usage.files ?? 0) >= 10)
        #expect(usage.memory > 100_000 && (usage.privateMemory ?? 0) > 10_000)
        #expect((0..<60).contains(usage.uptimeSeconds))
        let process = try #require(usage.process)
        #expect(process.commandLine.hasPrefix("/bin/sh -c exec 3</dev/null"))
        #expect(process.commandLine.utf8.count <= ProcessDescription.maximumBytes)
        #expect(process.userID == Int64(geteuid()) && process.parent == Int64(getpid()) && process.niceness == 0)
        #expect(process.status == "S" && abs(process.startTime - microsecondsNow()) < 60_000_000)
    }
}

@Test func aProgramThatIsGoneOrNotOursIsLeftOut() async throws {
    let sampler = UsageSampler()
    let gone = ProcessRecord(name: "1", pid: 0x7FFF_FFF0, startTime: 1, boot: ProcessRecord.boot)
    #expect(sampler.sample(["p": gone]).programs.isEmpty)
    // Our parent is no child of ours.
    let sample = sampler.sample([
        "p": ProcessRecord(name: "1", pid: getppid())!, "q": ProcessRecord(name: "1", pid: 1)!,
    ])
    #expect(sample.programs.isEmpty)
    #expect(sample.machine.memoryTotal > 0 && sample.machine.uptimeSeconds > 0)
}

@Test func processesThatEndWhileTheyAreReadDoNoHarm() async throws {
    try await withProgram("while :; do sh -c 'sh -c : & :' & wait; done") { pid in
        let sampler = UsageSampler()
        let record = ProcessRecord(name: "1", pid: pid)!
        var seen = 0
        for _ in 0..<40 { seen += sampler.sample(["p": record]).programs.count }
        #expect(seen == 40)
    }
}
