import Credentials
import Files
import Glibc
import HubModel
import MQTT
import Postgres
import TestSupport
import Testing

@testable import Embedded

/// The private database and broker, the real ones, without a hub.
@Suite(.serialized) struct PrivateServersTests {
    private let folder = TemporaryFolder()
    private let runner = Account.current()!
    private let console = Console { _, _ in }

    /// Has a program run while `body` does.
    private func running<Result: Sendable>(
        _ part: Part, _ data: DataDirectory, _ executable: String, _ arguments: [String], in folder: String? = nil,
        _ body: (WatchedPart) async throws -> Result
    ) async throws -> Result {
        let program = try WatchedPart(
            part, data: data, executable: executable, arguments: arguments, environment: childEnvironment(),
            workingDirectory: folder ?? data.path, console: console)
        await program.start()
        do {
            let result = try await body(program)
            await program.stop()
            return result
        } catch {
            await program.stop()
            throw error
        }
    }

    private func running<Result: Sendable>(
        _ postgres: PrivatePostgres, _ body: (WatchedPart) async throws -> Result
    ) async throws -> Result {
        let command = postgres.command
        return try await running(.postgres, postgres.data, command.executable, command.arguments) { server in
            try await server.wait(atMost: .seconds(60), for: "the database") { try postgres.isReady() }
            return try await body(server)
        }
    }

    @Test(.timeLimit(.minutes(2))) func theDatabaseIsOursAlone() async throws {
        // A space in the path has to survive every configuration file on the way.
        let data = DataDirectory("\(folder.path)/a hub")
        try data.prepare(for: runner)
        let postgres = try await PrivatePostgres(data: data, runningAs: runner)
        try await postgres.prepare(telling: console)
        try await running(postgres) { _ in
            try postgres.makeDatabase(schema: "\(checkout)/schema.sql")
            try postgres.makeDatabase(schema: "\(checkout)/schema.sql")

            let settings = try Connection(postgres.target(role: "postgres", database: "postgres")).query(
                """
                SELECT current_setting('listen_addresses') AS addresses, current_setting('fsync') AS fsync,
                       current_setting('synchronous_commit') AS commit, current_setting('server_encoding') AS encoding,
                       current_setting('max_connections') AS connections
                """)[0]
            #expect(settings.text("addresses") == "")
            #expect(settings.text("fsync") == "on")
            #expect(settings.text("commit") == "on")
            #expect(settings.text("encoding") == "UTF8")
            #expect(settings.text("connections") == "40")
            // Nothing was asked of it before it could answer; and what is logged comes to us, who bound it.
            #expect(throws: PostgresError.self) { try postgres.connect().query("SELECT 'no number'::integer") }
            let log = data.log(of: .postgres)
            while try readText(log)?.contains("no number") != true { try await Task.sleep(for: .milliseconds(20)) }
            #expect(try readText(log)?.contains("the database system is starting up") == false)

            // A part of a transaction that was rolled back is over: the next one is not a part of it.
            let transactions = try postgres.connect()
            #expect(throws: PostgresError.self) {
                try transactions.transaction {
                    _ = try? transactions.transaction { try transactions.query("SELECT 'no number'::integer") }
                    try transactions.query("RELEASE SAVEPOINT part_1")
                }
            }

            // The role for people reads reports and can do nothing else.
            let reader = try Connection(postgres.target(role: PrivatePostgres.reader))
            try reader.query("SELECT FROM report.sensor")
            #expect(throws: PostgresError.self) { try reader.query("CREATE TABLE report.mine (x int)") }
            #expect(throws: PostgresError.self) { try reader.query("SELECT FROM hub.broker_user") }
        }
        #expect(!File.exists("\(data.postgres)/postmaster.pid"))
    }

    @Test(.timeLimit(.minutes(2))) func theBrokerKnowsOurUsersAndKeepsItsPort() async throws {
        let data = DataDirectory("\(folder.path)/a hub")
        try data.prepare(for: runner)
        var broker = try PrivateBroker(data: data, runningAs: runner, listeners: [])
        let address = broker.local
        try broker.writeConfiguration(template: "\(checkout)/mosquitto.conf")
        try writeFile(
            broker.accessFiles.passwordFile, "hub.main:\(Credential.hash("a-password-for-the-hub"))\n", mode: 0o600)
        try writeFile(broker.accessFiles.aclFile, "user hub.main\ntopic readwrite #\n", mode: 0o600)
        try await running(
            .mosquitto, data, broker.executable, broker.arguments, in: broker.workingDirectory
        ) { [broker] mosquitto in
            try await mosquitto.wait(atMost: .seconds(20), for: "mosquitto") { canConnect(broker.local) }
            #expect(broker.socket.path == "\(data.path)/mqtt/mqtt.sock")
            for address in [.tcp(broker.local), .unix(broker.socket)] as [BrokerAddress] {
                #expect(await answer(address, user: "hub.main", password: "a-password-for-the-hub") == nil)
                #expect(await answer(address, user: "hub.main", password: "another")?.code == .notAuthorized)
                #expect(await answer(address, user: "nobody", password: "")?.code == .notAuthorized)
            }
        }
        // While another hub has the port, another one is found, also when that hub's broker does not run.
        let other = try PrivateBroker(data: data, runningAs: runner, listeners: [])
        #expect(other.local != address)
        broker = other
        #expect(try PrivateBroker(data: data, runningAs: runner, listeners: []).local == address)
    }

    @Test(.timeLimit(.minutes(2))) func leftoversOfACrashAreNoHindrance() async throws {
        let data = DataDirectory("\(folder.path)/hub")
        try data.prepare(for: runner)
        let postgres = try await PrivatePostgres(data: data, runningAs: runner)
        try await postgres.prepare(telling: console)
        try await running(postgres) { _ in
            // As after a crash of `up` that took the record with it.
            for name in names(in: data.records(of: .postgres)) { unlink("\(data.records(of: .postgres))/\(name)") }
            let server = try #require(serverPID(data))
            #expect(await Leftovers.end(in: data) == ["postgres"])
            // What may be left of it is a zombie, until its parent has seen it; its folder it keeps a moment longer than its
            // program.
            for _ in 0..<3_000 where linkTarget("/proc/\(server)/cwd") != nil {
                try await Task.sleep(for: .milliseconds(20))
            }
            #expect(linkTarget("/proc/\(server)/cwd") == nil)
        }

        // The number of a server that is gone is a stranger's now.
        try writeFile("\(data.postgres)/postmaster.pid", "\(getpid())\n", mode: 0o600)
        #expect(await Leftovers.end(in: data) == [])
        #expect(!File.exists("\(data.postgres)/postmaster.pid"))
        try await running(postgres) { _ in }
    }

    @Test(.timeLimit(.minutes(2))) func whatDoesNotStartIsReportedWithItsLog() async throws {
        let data = DataDirectory("\(folder.path)/hub")
        try data.prepare(for: runner)
        try await running(.mosquitto, data, "/bin/sh", ["-c", "echo the reason >&2; exit 3"]) { program in
            let error = await #expect(throws: EmbeddedError.self) {
                try await program.wait(atMost: .seconds(30), for: "the program") { false }
            }
            #expect(error?.code == .notReady)
            #expect(error?.description.contains("the program does not start") == true)
            #expect(error?.description.contains("\n  the reason") == true)
        }
    }

    private func serverPID(_ data: DataDirectory) -> pid_t? {
        try? readText("\(data.postgres)/postmaster.pid")?.split(separator: "\n").first.flatMap { pid_t($0) }
    }

    /// What the broker says to a client: nil for a welcome.
    private func answer(_ address: BrokerAddress, user: String, password: String) async -> MQTTError? {
        let (answers, continuation) = AsyncStream.makeStream(of: MQTTError?.self)
        let client = Client(
            ClientConfiguration(address: address, clientID: "test-\(user)", user: user, password: password)
        ) { event in
            switch event {
            case .connected: continuation.yield(nil)
            case .disconnected(let error): continuation.yield(error)
            default: break
            }
        }
        client.start()
        defer { client.stop() }
        return await answers.first { _ in true } ?? nil
    }
}
