import Files
import Glibc
import Hub
import HubModel
import MQTT
import SimdJSON
import Watch
import WatchInProcess

/// A whole hub on this machine: a database, a broker, the hub and an agent, all under one data folder.
public actor Stack {
    /// What a person needs to know of a running one.
    public struct Access: Sendable {
        /// `host:port` of each way to the broker, the loopback port first.
        public let brokers: [String]
        /// The command that looks into the database.
        public let psql: String
        public let data: DataDirectory
        /// The hub's id and where the hub's own programs find the broker.
        public let hub: Identifier
        public let local: TCPAddress
        /// Where programs of this machine find it, too.
        public let socket: UnixSocket
        public let user: BrokerUser
        public let password: String
    }

    private let data: DataDirectory
    private let listeners: [TCPAddress]
    private let installation: Installation
    private let console: Console
    private let hub = Identifier("main")!
    private let owner = BrokerUser.person(Identifier("owner")!)

    private var lock: RunLock?
    private var programs: [Part: WatchedPart] = [:]
    /// Its port is ours as long as it is here.
    private var broker: PrivateBroker?

    /// - Parameters:
    ///   - listeners: where the broker is to listen besides a loopback port for ourselves.
    ///   - console: told of progress, and of what goes wrong while the hub runs.
    public init(
        data: DataDirectory, listeners: [TCPAddress], installation: Installation, console: Console
    ) {
        self.data = data
        self.listeners = listeners
        self.installation = installation
        self.console = console
    }

    // MARK: Start

    /// Brings everything up and returns when hub and agent serve. To be followed by `stop`, also after an error.
    ///
    /// - Throws: `EmbeddedError`, `PostgresError`, or `CancellationError` when the task is cancelled.
    public func start() async throws -> Access {
        guard let runner = Account.current() else {
            throw EmbeddedError(
                .dataDirectory, "user id \(geteuid()) has no entry in /etc/passwd, and PostgreSQL insists on one")
        }
        try data.prepare(for: runner)
        lock = try RunLock.take(data)
        unlink(data.connectionFile)
        let ended = await Leftovers.end(in: data)
        if !ended.isEmpty {
            console.say("an earlier hub was not stopped properly: ended \(ended.joined(separator: ", "))")
        }

        let postgres = try await PrivatePostgres(data: data, runningAs: runner)
        var broker = try PrivateBroker(data: data, runningAs: runner, listeners: listeners)
        let secrets = try Secrets.load(data.secrets)
        let node = try NodeName.ofAgent(in: data)

        try await startPostgres(postgres)
        try enroll(secrets, node, postgres, broker)
        let readiness: Readiness
        (broker, readiness) = try await startMosquitto(broker, runningAs: runner) { address in
            Readiness(hub: hub, broker: address, user: owner, password: secrets.owner, node: node)
        }
        defer { readiness.stop() }
        self.broker = broker
        let access = Access(
            brokers: broker.addresses, psql: postgres.psql, data: data, hub: hub, local: broker.local,
            socket: broker.socket, user: owner, password: secrets.owner)
        try await startHubAndAgent(readiness, postgres, broker, secrets, node)
        try writeConnectionFile(access, postgres)
        return access
    }

    private func startPostgres(_ postgres: PrivatePostgres) async throws {
        try await postgres.prepare(telling: console)
        try Task.checkCancellation()
        let command = postgres.command
        let program = try watch(.postgres, command.executable, command.arguments)
        await program.start()
        // Long, because what a crash has left to recover may be much.
        try await program.wait(atMost: .seconds(600), for: "the database") { try postgres.isReady() }
        try postgres.makeDatabase(schema: installation.schema)
    }

    private func enroll(
        _ secrets: Secrets, _ node: Identifier, _ postgres: PrivatePostgres, _ broker: PrivateBroker
    ) throws {
        let database = try postgres.connect()
        try BrokerAccess.enroll(.hub(hub), password: secrets.hub, in: database)
        try BrokerAccess.enroll(.node(node), password: secrets.node, in: database)
        try BrokerAccess.enroll(owner, password: secrets.owner, in: database)
        // No broker runs yet that could be told of it.
        var files = broker.accessFiles
        files.pidFile = nil
        try BrokerAccess.writeFiles(files, hub: hub, devices: .standard, from: database)
    }

    /// - Returns: the broker that runs: one with another loopback port, where a program has taken that of `broker`
    ///   since it was chosen.
    private func startMosquitto(
        _ broker: PrivateBroker, runningAs runner: Account, watching: (TCPAddress) -> Readiness
    ) async throws -> (PrivateBroker, Readiness) {
        try broker.writeConfiguration(template: installation.mosquittoConfiguration)
        let program = try watch(
            .mosquitto, broker.executable, broker.arguments, workingDirectory: broker.workingDirectory)
        await program.start()
        let readiness = watching(broker.local)
        do {
            try await program.wait(atMost: .seconds(20), for: "mosquitto") {
                if program.isDown { try broker.checkAddresses() }
                return readiness.isBrokerReady
            }
            return (broker, readiness)
        } catch {
            readiness.stop()
            guard let error = error as? EmbeddedError, error.code == .address else { throw error }
            await program.stop()
            // It throws for an address that was asked for.
            let other = try PrivateBroker(data: data, runningAs: runner, listeners: listeners)
            return try await startMosquitto(other, runningAs: runner, watching: watching)
        }
    }

    private func startHubAndAgent(
        _ readiness: Readiness, _ postgres: PrivatePostgres, _ broker: PrivateBroker, _ secrets: Secrets,
        _ node: Identifier
    ) async throws {
        let address: JSON = .string(broker.local.description)
        try writeFile(
            data.hubConfiguration,
            ([
                "hub": ["id": .string(hub.text)],
                "broker": [
                    "address": address, "password": .string(secrets.hub),
                    "passwordFile": .string(broker.accessFiles.passwordFile),
                    "aclFile": .string(broker.accessFiles.aclFile), "pidFile": .string(broker.pidFile),
                    "advertised": .array(broker.advertised.map { .string($0) }),
                ],
                "database": .string(postgres.target(role: PrivatePostgres.owner)),
                "storage": ["folder": .string(data.postgres)],
                // Empty counts as not there.
                "devices": [
                    "file": .string(File.exists(data.devices) ? data.devices : ""),
                    "runtimes": .string(File.exists(data.runtimes) ? data.runtimes : ""),
                ],
            ] as JSON).text(indented: true) + "\n", mode: 0o600)
        try makeFolder(data.agent, mode: 0o700)
        try writeFile(
            data.agentConfiguration,
            ([
                "hub": ["id": .string(hub.text)],
                "node": ["id": .string(node.text)],
                "broker": ["address": address, "password": .string(secrets.node)],
                "agent": [
                    "data": .string(data.agent), "driver": .string(installation.driver),
                    "python": .string(installation.python),
                    // Who may ask for some is the same person.
                    "commands": true,
                ],
            ] as JSON).text(indented: true) + "\n", mode: 0o600)

        let hubProgram = try watch(.hub, installation.executable, ["hub", "--config", data.hubConfiguration])
        let agentProgram = try watch(
            .agent, installation.executable, ["agent", "--config", data.agentConfiguration])
        await hubProgram.start()
        await agentProgram.start()
        try await hubProgram.wait(atMost: .seconds(30), for: "the hub") { try readiness.isHubOnline() }
        try await agentProgram.wait(atMost: .seconds(30), for: "the agent") { try readiness.isAgentOnline() }
    }

    private func writeConnectionFile(_ access: Access, _ postgres: PrivatePostgres) throws {
        let file = ConnectionFile(
            hub: access.hub.text, broker: access.local.description, user: access.user.description,
            password: access.password, database: postgres.target(role: PrivatePostgres.owner), psql: access.psql,
            data: data.path, pid: getpid())
        try writeFile(data.connectionFile, file.text, mode: 0o600)
    }

    private func watch(
        _ part: Part, _ executable: String, _ arguments: [String], workingDirectory: String? = nil
    ) throws -> WatchedPart {
        let program = try WatchedPart(
            part, data: data, executable: executable, arguments: arguments,
            // The only variable of ours that is no setting: hub and agent must find the same parts as we.
            environment: childEnvironment().merging(["SENSORHUB_SHARE": installation.share]) { $1 },
            workingDirectory: workingDirectory ?? data.path, console: console)
        programs[part] = program
        return program
    }

    // MARK: Stop

    /// Stops what runs, in the order agent, hub, broker, database, and returns when it is gone.
    public func stop() async {
        // Without the lock the file is another's.
        if lock != nil { unlink(data.connectionFile) }
        for part in Part.stopOrder {
            guard let program = programs[part] else { continue }
            await program.stop()
        }
        programs = [:]
        // A server that was killed is outlived by its children for a moment.
        if lock != nil { await Leftovers.endUnrecorded(in: data) }
        lock = nil
        broker = nil
    }

    /// While `stop` is at work: waits for nothing any more. The database recovers at its next start.
    public func hasten() async {
        for part in Part.stopOrder { await programs[part]?.hasten() }
    }
}
