import Files
import Glibc
import Postgres
import SimdJSON
import Synchronization
import TestSupport
import Testing
import Watch
import WatchInProcess

@testable import Embedded

/// `sensorhub up` as a person runs it, with everything real.
@Suite(.serialized) struct UpTests {
    private let folder = TemporaryFolder()
    private var data: DataDirectory { DataDirectory("\(folder.path)/hub") }

    /// A running `sensorhub up`.
    private final class Run: Sendable {
        private let program: WatchedProgram
        private let output = Shared()

        private final class Shared: Sendable {
            let lines = Mutex<[String]>([])
        }

        init(_ data: DataDirectory, arguments: [String] = []) {
            // The test bundle lies beside the programs.
            let executable = Folder.parent(of: realPath("/proc/self/exe")!) + "/sensorhub"
            var environment = childEnvironment()
            environment["SENSORHUB_SHARE"] = checkout
            let output = output
            program = WatchedProgram(
                name: "up", recordFile: nil,
                specification: ProgramSpecification(
                    executable: executable, arguments: ["up", "--data", data.path] + arguments,
                    environment: environment, restart: .never, stopWait: .seconds(60))
            ) { event in
                if case .output(let lines) = event { output.lines.withLock { $0 += lines.map(\.text) } }
            }
        }

        var lines: [String] { output.lines.withLock { $0 } }

        /// Returns when it is up.
        func start() async throws {
            await program.start()
            while !lines.contains(where: { $0.contains("is up; Ctrl-C stops it") }) {
                let status = await program.status
                guard status.exitCode == nil, status.signal == nil else {
                    Issue.record("up ended: \(status.reason)\n\(lines.joined(separator: "\n"))")
                    throw CancellationError()
                }
                try await Task.sleep(for: .milliseconds(10))
            }
        }

        /// For one that is to end by itself.
        func runToEnd() async -> Int32? {
            await program.start()
            return await program.waitUntilIdle().exitCode
        }

        func stop() async { await program.stop(reason: "test") }

        func signal(_ signal: Int32) async {
            if let pid = await program.status.pid { kill(pid, signal) }
        }

        func exitCode() async -> Int32? { await program.waitUntilIdle().exitCode }
    }

    private func running(_ body: (Run) async throws -> Void) async throws {
        let run = Run(data)
        do {
            try await run.start()
            try await body(run)
        } catch {
            await run.stop()
            throw error
        }
        await run.stop()
    }

    /// Every process that was started for the hub has its folder in its arguments or works in it.
    private func processes() -> [String] {
        names(in: "/proc").filter { Int32($0) != nil }.compactMap { pid in
            let arguments = ((try? readText("/proc/\(pid)/cmdline")) ?? nil) ?? ""
            let works = linkTarget("/proc/\(pid)/cwd")?.hasPrefix(data.path) ?? false
            return arguments.contains(data.path) || works ? arguments.replacing("\0", with: " ") : nil
        }
    }

    /// Nil while it has none.
    private func pid(of part: Part) -> pid_t? {
        guard let text = try? readText("\(data.records(of: part))/process.json") else { return nil }
        return (try? JSON(parsing: text))?["pid"]?.int.map { pid_t($0) }
    }

    @Test(.timeLimit(.minutes(3))) func startUseAndStop() async throws {
        try await running { run in
            let connection = try #require(try ConnectionFile(readingFrom: data.connectionFile))
            #expect(run.lines.contains { $0.contains(connection.broker) })
            #expect(run.lines.contains { $0.contains(connection.psql) })
            #expect(!run.lines.joined().contains(connection.password))
            var status = stat()
            stat(data.connectionFile, &status)
            #expect(status.st_mode & 0o777 == 0o600)
            try Connection(connection.database).query("SELECT FROM hub.node")

            let second = Run(data)
            #expect(await second.runToEnd() == 1)
            #expect(
                second.lines.joined().contains("a hub is already running in \(data.path) (process \(connection.pid))"))
            #expect(File.exists(data.connectionFile))
            await run.signal(SIGTERM)
            #expect(await run.exitCode() == 0)
        }
        #expect(!File.exists(data.connectionFile))
        #expect(processes() == [])

        // What is there is not made again; how long it takes, `make footprint` measures.
        try await running { run in #expect(!run.lines.contains { $0.hasPrefix("creating") }) }
        #expect(processes() == [])
    }

    @Test(.timeLimit(.minutes(3))) func whatDiesIsStartedAgain() async throws {
        try await running { run in
            for part in Part.allCases {
                let before = try #require(pid(of: part))
                kill(before, SIGKILL)
                while !run.lines.contains("\(part): runs again") { try await Task.sleep(for: .milliseconds(20)) }
                #expect(try #require(pid(of: part)) != before)
            }
            let connection = try #require(try ConnectionFile(readingFrom: data.connectionFile))
            // It is up again before it has read its log through.
            while (try? Connection(connection.database).query("SELECT FROM hub.node")) == nil {
                try await Task.sleep(for: .milliseconds(100))
            }
        }
        #expect(processes() == [])
    }

    @Test(.timeLimit(.minutes(3))) func aKilledOneIsRecoveredFrom() async throws {
        let killed = Run(data)
        try await killed.start()
        let leftovers = try Part.allCases.map { try #require(pid(of: $0)) }
        await killed.signal(SIGKILL)
        _ = await killed.exitCode()
        #expect(leftovers.allSatisfy { kill($0, 0) == 0 })
        try await running { run in
            #expect(run.lines.contains { $0.contains("ended agent, hub, mosquitto, postgres") })
            let now = try Part.allCases.map { try #require(pid(of: $0)) }
            #expect(Set(now).isDisjoint(with: leftovers))
        }
        #expect(processes() == [])
    }

    @Test(.timeLimit(.minutes(3))) func aSecondSignalHastens() async throws {
        let run = Run(data)
        try await run.start()
        // A database that does not listen would be waited for a minute.
        let postgres = try #require(pid(of: .postgres))
        kill(postgres, SIGSTOP)
        let begin = ContinuousClock.now
        await run.signal(SIGINT)
        while !run.lines.contains("stopping …") { try await Task.sleep(for: .milliseconds(20)) }
        await run.signal(SIGINT)
        // Two of the same kind at the same moment would be one.
        try await Task.sleep(for: .milliseconds(500))
        await run.signal(SIGINT)
        #expect(await run.exitCode() == 0)
        #expect(ContinuousClock.now - begin < .seconds(45))
        #expect(processes() == [])
    }
}
