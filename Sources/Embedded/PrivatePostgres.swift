import Files
import Glibc
import Postgres

/// A PostgreSQL cluster of the hub's own, under its data folder: reached over a socket there and over nothing else, by
/// accounts of this machine that need no password.
struct PrivatePostgres: Sendable {
    let data: DataDirectory
    let programs: PostgresPrograms
    /// Whom the server runs as: PostgreSQL refuses to be root.
    let account: Account
    /// Accounts that may connect.
    private let admitted: [String]

    static let database = "sensorhub"
    static let owner = "sensorhub"
    static let reader = "sensorhub_report"
    private static let superuser = "postgres"
    private static let map = "sensorhub"

    /// - Throws: `EmbeddedError` where PostgreSQL is not installed or cannot use the folder.
    init(data: DataDirectory, runningAs runner: Account) async throws {
        self.data = data
        try Self.checkSocketPath(data)
        if runner.isRoot {
            guard let postgres = Account.named("postgres") else {
                throw EmbeddedError(
                    .missingPackage,
                    "there is no account 'postgres' on this machine; it comes with: apt install postgresql")
            }
            account = postgres
        } else {
            account = runner
        }
        admitted = Set([runner.name, account.name, "root", "postgres"]).sorted()
        programs = try await PostgresPrograms.find(version: try Self.clusterVersion(data))
    }

    /// How a program connects as `role`.
    func target(role: String, database: String = database) -> String {
        connectionString(["host": data.sockets, "port": "5432", "dbname": database, "user": role])
    }

    /// What a person types to look into the database.
    var psql: String {
        psqlCommand(connectionString(["host": data.sockets, "dbname": Self.database, "user": Self.reader]))
    }

    /// The server, under its account.
    var command: (executable: String, arguments: [String]) {
        account.command(programs.server, ["-D", data.postgres])
    }

    // MARK: Before the server runs

    /// Makes the cluster where there is none, and writes the files that say who may connect and how it runs.
    func prepare(telling console: Console) async throws {
        try makeFolder(data.sockets, mode: 0o755, owner: account)
        if try Self.clusterVersion(data) == nil {
            console.say("creating the database in \(data.postgres) …")
            try await makeCluster()
        }
        try writeFile("\(data.postgres)/sensorhub.conf", settings, mode: 0o600)
        try writeFile("\(data.postgres)/pg_hba.conf", "local all all peer map=\(Self.map)\n", mode: 0o600)
        try writeFile("\(data.postgres)/pg_ident.conf", identMap, mode: 0o600)
    }

    /// The cluster is made beside its place and moved there when it is complete, so a power cut leaves no half of one.
    private func makeCluster() async throws {
        if File.exists(data.postgres), !names(in: data.postgres).isEmpty {
            throw EmbeddedError(
                .dataDirectory, "\(data.postgres) is there, but holds no PostgreSQL database; move it out of the way")
        }
        let unfinished = "\(data.postgres).unfinished"
        // It belongs to another account where we are root; rm follows no link that may be put there meanwhile.
        try await Command(executable: "/bin/rm", arguments: ["-rf", "--", unfinished]).run()
        try makeFolder(unfinished, mode: 0o700, owner: account)
        do {
            let initdb = account.command(
                programs.initdb,
                [
                    "--pgdata", unfinished, "--username", Self.superuser, "--encoding", "UTF8",
                    "--locale", "C.UTF-8", "--auth", "peer", "--data-checksums",
                ])
            try await Command(executable: initdb.executable, arguments: initdb.arguments).run()
        } catch let error as EmbeddedError {
            let isFull = error.description.contains("No space left") || error.description.contains("quota exceeded")
            let advice = isFull ? "; make room on the disk, or choose another folder with --data" : ""
            throw EmbeddedError(.dataDirectory, "the database cannot be made in \(data.path): \(error)\(advice)")
        }
        let configuration = "\(unfinished)/postgresql.conf"
        // Last, so that it stands above initdb's settings; what a person adds below stands above ours.
        let text = (try readText(configuration) ?? "") + "\ninclude 'sensorhub.conf'\n"
        try writeFile(configuration, text, mode: 0o600)
        rmdir(data.postgres)
        guard rename(unfinished, data.postgres) == 0 else { throw EmbeddedError.file("make", FileError(data.postgres)) }
    }

    private var settings: String {
        """
        # Written by `sensorhub up` at each start. Settings of your own go to the end of postgresql.conf.

        # Programs of this machine only, over the socket in the data folder.
        listen_addresses = ''
        unix_socket_directories = '"\(data.sockets)"'
        port = 5432
        max_connections = 40

        # A commit is on the disk before it is reported: the broker's acknowledgement follows from it.
        fsync = on
        synchronous_commit = on
        full_page_writes = on

        # A small machine: a Raspberry Pi with 1 GB has room for much else beside.
        shared_buffers = 48MB
        work_mem = 4MB
        maintenance_work_mem = 32MB
        effective_cache_size = 256MB
        max_wal_size = 256MB
        min_wal_size = 64MB
        wal_compression = on
        max_wal_senders = 2
        max_worker_processes = 4
        autovacuum_max_workers = 2
        # Loads a compiler into each backend; the queries here are small.
        jit = off

        # `sensorhub up` takes what is logged, and bounds it.
        log_destination = stderr
        logging_collector = off
        log_line_prefix = '%m [%p] %q%u@%d '
        log_checkpoints = off

        """
    }

    private var identMap: String {
        admitted.flatMap { account in
            [Self.owner, Self.reader, Self.superuser].map { role in "\(Self.map) \"\(account)\" \(role)\n" }
        }.joined()
    }

    private static func clusterVersion(_ data: DataDirectory) throws(EmbeddedError) -> Int? {
        guard let text = try readText("\(data.postgres)/PG_VERSION") else { return nil }
        return text.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) }
    }

    /// The kernel's limit for the path of a socket (`sun_path`, less the closing zero).
    private static func checkSocketPath(_ data: DataDirectory) throws(EmbeddedError) {
        let socket = "\(data.sockets)/.s.PGSQL.5432"
        guard socket.utf8.count <= 107 else {
            throw EmbeddedError(
                .dataDirectory,
                """
                the path of the data folder is too long: the socket \(socket) in it has \(socket.utf8.count) bytes, \
                and Linux allows 107; choose a shorter one with --data
                """)
        }
    }

    // MARK: While the server runs

    /// True once the server answers; false while it is starting or recovering.
    ///
    /// - Throws: `EmbeddedError` where it answers that it will not have us.
    func isReady() throws(EmbeddedError) -> Bool {
        // As pg_ctl does it: a server that is starting refuses each connection with a line in its log.
        guard try serverStatus() == "ready" else { return false }
        do {
            _ = try Connection(target(role: Self.superuser, database: "postgres"))
            return true
        } catch {
            guard error.message.contains("authentication failed") else { return false }
            throw EmbeddedError(.dataDirectory, "the private PostgreSQL refuses us: \(error)")
        }
    }

    /// What the server says of itself, in the eighth line of its pid file (PostgreSQL's miscadmin.h).
    private func serverStatus() throws(EmbeddedError) -> Substring? {
        guard let text = try readText("\(data.postgres)/postmaster.pid") else { return nil }
        return text.split(separator: "\n", omittingEmptySubsequences: false).dropFirst(7).first?
            .split(separator: " ").first
    }

    /// Makes sure of the roles, the database and what schema.sql says.
    ///
    /// - Parameter schema: the path of schema.sql.
    func makeDatabase(schema: String) throws(EmbeddedError) {
        guard let script = try readText(schema) else { throw EmbeddedError(.file, "\(schema) is missing") }
        do throws(PostgresError) {
            let server = try Connection(target(role: Self.superuser, database: "postgres"))
            for role in [Self.owner, Self.reader] {
                if try server.query("SELECT FROM pg_roles WHERE rolname = $1", .text(role)).isEmpty {
                    try server.query("CREATE ROLE \(quotedIdentifier(role)) LOGIN")
                }
            }
            if try server.query("SELECT FROM pg_database WHERE datname = $1", .text(Self.database)).isEmpty {
                try server.query(
                    "CREATE DATABASE \(quotedIdentifier(Self.database)) OWNER \(quotedIdentifier(Self.owner))")
            }
            try connect().run(script: script)
        } catch {
            throw EmbeddedError(.notReady, "the private database cannot be set up (\(schema)): \(error)")
        }
    }

    /// Connects as the role that owns the hub's tables.
    func connect() throws(PostgresError) -> Connection {
        try Connection(target(role: Self.owner))
    }
}
