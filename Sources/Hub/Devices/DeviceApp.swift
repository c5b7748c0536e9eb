import HubModel
import Postgres
import SimdJSON

/// An app that is installed on a device.
struct DeviceApp {
    let node: Identifier
    let id: Identifier
    let instance: Identifier
    let package: AppPackage
    /// As it was given at the last start.
    var arguments: AppArguments
    /// Grows with each start and stop that was asked for.
    var request: Int64
    /// What the last one was.
    var isWanted: Bool
    /// It goes when it has ended.
    var isPassing: Bool
    let createdAt: Int64
    let updatedAt: Int64

    /// What its node is told of it.
    func run(_ settings: DeviceSettings) -> DeviceAppRun {
        let rules = package.rules
        var publishes = settings.publishes
        publishes.events = publishes.events && rules.publishes.events
        publishes.logs = publishes.logs && rules.publishes.logs
        publishes.statistics = publishes.statistics && rules.publishes.statistics
        return DeviceAppRun(
            name: package.info["name"]?.string ?? id.text, request: request, isWanted: isWanted,
            startsOnBoot: rules.startsOnBoot, notBefore: rules.executionTime, niceness: Int(rules.priority),
            retries: rules.retry, maximumRetries: rules.maximumRetries.map { Int($0) },
            // They were checked when they were given.
            parameters: (try? package.parameters.values(arguments.parameters, path: "app_args")) ?? [:],
            publishes: publishes)
    }

    // MARK: In the database

    /// Those of a node, or of all.
    static func all(on node: Identifier? = nil, in database: Connection) throws -> [DeviceApp] {
        try database.query(
            """
            SELECT node, app_id, instance_id, package, arguments, request, wanted, passing,
                   extract(epoch FROM created_at)::bigint AS created_at,
                   extract(epoch FROM updated_at)::bigint AS updated_at
            FROM hub.device_app WHERE $1::text IS NULL OR node = $1 ORDER BY node, app_id
            """, .text(node?.text)
        ).compactMap { row in
            guard let node = Identifier(row.text("node")), let id = Identifier(row.text("app_id")),
                let instance = Identifier(row.text("instance_id"))
            else { return nil }
            return DeviceApp(
                node: node, id: id, instance: instance,
                package: try AppPackage(json: DocumentReader(JSON(parsing: row.text("package")))),
                arguments: try AppArguments(DocumentReader(JSON(parsing: row.text("arguments")))),
                request: row.int("request"), isWanted: row.bool("wanted"), isPassing: row.bool("passing"),
                createdAt: row.int("created_at"), updatedAt: row.int("updated_at"))
        }
    }

    func store(in database: Connection) throws(PostgresError) {
        try database.query(
            """
            INSERT INTO hub.device_app (node, app_id, instance_id, package, arguments, request, wanted, passing)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT (node, app_id) DO UPDATE SET package = EXCLUDED.package, arguments = EXCLUDED.arguments,
                request = EXCLUDED.request, wanted = EXCLUDED.wanted, passing = EXCLUDED.passing, updated_at = now()
            """,
            .text(node.text), .text(id.text), .text(instance.text), .text(package.json.text()),
            .text(arguments.json.text()), .int(request), .bool(isWanted), .bool(isPassing))
    }
}

/// `app_args`: words for the command line, or values for the parameters of `init.conf` by their names.
struct AppArguments: Hashable {
    var words: [String] = []
    var parameters: JSONObject = [:]

    private static let maximumWords = 256
    private static let maximumBytes = 64 << 10

    init() {}

    init(_ reader: DocumentReader) throws(ValidationError) {
        if reader.value.object != nil {
            parameters = try reader.object()
            guard !reader.value.hasNUL else { throw reader.error("the character NUL is not allowed") }
            guard reader.value.bytes().count <= Self.maximumBytes else {
                throw reader.error("longer than \(Self.maximumBytes >> 10) KiB")
            }
            return
        }
        guard reader.value.array != nil else {
            throw reader.error(
                #"expected a list of words, or values by name as {"speed": 2}, found \#(reader.value.kind)"#)
        }
        let items = try reader.items()
        guard items.count <= Self.maximumWords else { throw reader.error("more than \(Self.maximumWords) words") }
        for item in items {
            switch item.value {
            case .string: words.append(try item.string())
            case .int, .double, .bool: words.append(item.value.text())
            default: throw item.error("expected text or a number, found \(item.value.kind)")
            }
        }
        guard words.reduce(0, { $0 + $1.utf8.count }) <= Self.maximumBytes else {
            throw reader.error("longer than \(Self.maximumBytes >> 10) KiB")
        }
    }

    var json: JSON { parameters.isEmpty ? .array(words.map { .string($0) }) : .object(parameters) }
}

extension JSON {
    /// True where a text in it has the character NUL, which PostgreSQL does not keep.
    fileprivate var hasNUL: Bool {
        switch self {
        case .string(let text): text.utf8.contains(0)
        case .array(let items): items.contains { $0.hasNUL }
        case .object(let object): object.contains { $0.key.utf8.contains(0) || $0.value.hasNUL }
        default: false
        }
    }
}
