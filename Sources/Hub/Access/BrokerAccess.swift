import Credentials
public import Files
import Glibc
public import HubModel
public import Postgres

/// Where a broker that the hub looks after has its users and rights.
public struct BrokerAccessFiles: Sendable {
    /// mosquitto's `password_file` and `acl_file`.
    public var passwordFile: String
    public var aclFile: String
    /// The process that is sent SIGHUP after a change; nil where something else watches the files.
    public var pidFile: String?

    public init(passwordFile: String, aclFile: String, pidFile: String?) {
        self.passwordFile = passwordFile
        self.aclFile = aclFile
        self.pidFile = pidFile
    }
}

/// The users of the broker and their rights: kept in the database, and written out for mosquitto as a whole.
public enum BrokerAccess {
    /// Makes sure that `user` can connect with `password`.
    public static func enroll(_ user: BrokerUser, password: String, in database: Connection) throws(PostgresError) {
        let known = try database.query("SELECT hash FROM hub.broker_user WHERE name = $1", .text(user.description))
        if let hash = known.first?.text("hash"), Credential.matches(password, hash) { return }
        try set(Credential.hash(password), of: user, in: database)
    }

    /// Gives `user` the password that `hash` is of.
    public static func set(_ hash: String, of user: BrokerUser, in database: Connection) throws(PostgresError) {
        try database.query(
            """
            INSERT INTO hub.broker_user (name, hash) VALUES ($1, $2)
            ON CONFLICT (name) DO UPDATE SET hash = EXCLUDED.hash, changed_at = now()
            """, .text(user.description), .text(hash))
    }

    /// The hash that the broker has for `user`; nil for one that it does not know.
    public static func hash(of user: BrokerUser, in database: Connection) throws(PostgresError) -> String? {
        try database.query("SELECT hash FROM hub.broker_user WHERE name = $1", .text(user.description))
            .first?.text("hash")
    }

    /// Takes every right from `user`; the broker disconnects it.
    public static func revoke(_ user: BrokerUser, in database: Connection) throws(PostgresError) {
        try database.query("DELETE FROM hub.broker_user WHERE name = $1", .text(user.description))
    }

    /// Writes both files from the database and has the broker read them.
    ///
    /// - Throws: `PostgresError`, or `AccessFileError` where a file cannot be written.
    public static func writeFiles(
        _ files: BrokerAccessFiles, hub: Identifier, devices: DeviceSettings, from database: Connection
    ) throws {
        let users = try database.query("SELECT name, hash FROM hub.broker_user ORDER BY name")
        let grants = try grants(in: database)
        try write(
            users.map { "\($0.text("name")):\($0.text("hash"))\n" }.joined(), to: files.passwordFile)
        try write(
            AccessList(
                hub: hub, users: users.compactMap { BrokerUser($0.text("name")) }, grants: grants, devices: devices
            ).text,
            to: files.aclFile)
        if let pidFile = files.pidFile, let pid = readPID(pidFile) { kill(pid, SIGHUP) }
    }

    private static func grants(in database: Connection) throws(PostgresError) -> [AccessList.Grant] {
        var grants: [AccessList.Grant] = []
        let instances = try database.query(
            """
            SELECT i.id, i.app_id, i.commands, b.role, s.name AS sensor, jsonb_array_length(t.functions) > 0 AS is_controlled
            FROM hub.algorithm_instance i
            LEFT JOIN hub.binding b ON b.instance_id = i.id AND b.until IS NULL
            LEFT JOIN hub.sensor s ON s.id = b.sensor_id AND s.removed_at IS NULL
            LEFT JOIN hub.sensor_type t ON t.id = s.type_id
            WHERE i.stopped_at IS NULL ORDER BY i.id, b.role, b.position, b.ordinal
            """)
        for row in instances {
            guard let instance = Identifier(row.text("id")), let app = Identifier(row.text("app_id")) else { continue }
            let sensor = row.optional("sensor").flatMap { Identifier($0) }
            if row.bool("commands") { grants.append(.commanding(instance)) }
            if let sensor, row.optional("role").flatMap({ BindingRole(rawValue: $0) }) == .output {
                grants.append(.algorithm(instance, app: app, sensor: nil))
                grants.append(.writing(instance, sensor: sensor, isControlled: row.bool("is_controlled")))
            } else {
                grants.append(.algorithm(instance, app: app, sensor: sensor))
            }
        }
        // What is to run on a node, and what has not ended there yet.
        let programs = try database.query(
            """
            SELECT 'algorithm' AS kind, id, node FROM hub.algorithm_instance WHERE stopped_at IS NULL AND node IS NOT NULL
            UNION SELECT 'driver', name, node FROM hub.sensor
            WHERE removed_at IS NULL AND node IS NOT NULL AND driver IS NOT NULL
            UNION SELECT 'command', id, node FROM hub.command WHERE ended_at IS NULL AND stopped_at IS NULL
            UNION SELECT kind, id, node FROM hub.program
            ORDER BY kind, id, node
            """)
        for row in programs {
            guard let kind = ProgramID.Kind(rawValue: row.text("kind")), let id = Identifier(row.text("id")),
                let node = Identifier(row.text("node"))
            else { continue }
            grants.append(.output(ProgramID(kind, id), node: node))
        }
        // As long as the node may tell of them.
        let commands = try database.query(
            """
            SELECT c.id, c.instance FROM hub.command c JOIN hub.algorithm_instance i ON i.id = c.instance
            WHERE i.stopped_at IS NULL AND (c.ended_at IS NULL AND c.stopped_at IS NULL
                OR EXISTS (SELECT FROM hub.program p WHERE p.kind = 'command' AND p.id = c.id))
            ORDER BY c.id
            """)
        for row in commands {
            guard let id = Identifier(row.text("id")), let instance = Identifier(row.text("instance")) else { continue }
            grants.append(.command(id, of: instance))
        }
        return grants
    }

    /// The file belongs to whoever owns the folder, which is the broker's user where that is another than ours; where the
    /// hub has an account of its own, the broker reads it by the folder's group.
    private static func write(_ text: String, to path: String) throws(AccessFileError) {
        do {
            try File.replace(path, with: text.utf8, mode: 0o640, belongsToFolder: true)
        } catch {
            throw AccessFileError(cause: error)
        }
    }

    /// The broker's process. The file is the broker's, so what it says is believed only of a mosquitto.
    private static func readPID(_ path: String) -> pid_t? {
        guard let text = try? File.text(of: path, limit: 64), let pid = pid_t(text.prefix { $0.isNumber }), pid > 1,
            (try? File.text(of: "/proc/\(pid)/comm", limit: 64)) == "mosquitto\n"
        else { return nil }
        return pid
    }
}

/// A file of the broker's users or rights that cannot be written.
public struct AccessFileError: Error, CustomStringConvertible {
    public let cause: FileError

    public var description: String { "\(cause); the hub must be able to write this file and its folder" }
}
