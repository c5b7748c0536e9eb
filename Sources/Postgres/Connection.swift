import CPQ
import Glibc

/// A connection to PostgreSQL. Calls block; it is for one thread at a time.
public final class Connection {
    private let handle: OpaquePointer
    /// Names of prepared statements by what they say.
    private var statements: [String: String] = [:]
    private var statementCount = 0
    /// How many transactions are open, one within the other.
    private var depth = 0

    /// Connects.
    ///
    /// - Parameters:
    ///   - target: a connection string or URI as libpq has them.
    ///   - name: whose connection it is, for people who look at `pg_stat_activity`.
    ///   - patienceSeconds: how long the server may take to answer, where `target` does not say; 0 is without end.
    /// - Throws: `PostgresError`; `isUnavailable` says whether another try makes sense.
    public init(_ target: String, name: String = "sensorhub", patienceSeconds: Int = 0) throws(PostgresError) {
        // What comes later counts; `dbname` stands for a whole connection string.
        let parameters = [
            ("connect_timeout", "\(patienceSeconds)"), ("dbname", target), ("fallback_application_name", name),
        ]
        let words = parameters.map { (strdup($0.0), strdup($0.1)) }
        defer { for word in words.flatMap({ [$0.0, $0.1] }) { free(word) } }
        handle = PQconnectdbParams(
            words.map { UnsafePointer($0.0) } + [nil], words.map { UnsafePointer($0.1) } + [nil], 1)
        guard PQstatus(handle) == CONNECTION_OK else {
            // `deinit` runs after this as well, and frees the handle.
            throw PostgresError(connection: handle)
        }
        PQsetNoticeProcessor(handle, { _, _ in }, nil)
    }

    deinit {
        PQfinish(handle)
    }

    public var isHealthy: Bool { PQstatus(handle) == CONNECTION_OK }

    /// The server's version, as 15.8.
    public var serverVersion: String {
        let number = PQserverVersion(handle)
        return "\(number / 10_000).\(number % 10_000)"
    }

    /// Connects again after the connection was lost.
    public func reset() throws(PostgresError) {
        statements = [:]
        PQreset(handle)
        guard PQstatus(handle) == CONNECTION_OK else { throw PostgresError(connection: handle) }
    }

    /// Runs a script of several statements, in one transaction unless it says otherwise.
    public func run(script: String) throws(PostgresError) {
        _ = try checked(PQexec(handle, script))
    }

    /// Runs one statement.
    @discardableResult
    public func query(_ sql: String, _ parameters: Parameter...) throws(PostgresError) -> Rows {
        try query(sql, parameters)
    }

    /// Runs one statement.
    @discardableResult
    public func query(_ sql: String, _ parameters: [Parameter]) throws(PostgresError) -> Rows {
        let result = Self.withPointers(parameters) { values, lengths, formats in
            PQexecParams(handle, sql, Int32(parameters.count), nil, values, lengths, formats, 0)
        }
        return Rows(try checked(result))
    }

    /// Runs a statement that will be run again, with other parameters: the database parses and plans it once.
    @discardableResult
    public func queryPrepared(_ sql: String, _ parameters: [Parameter]) throws(PostgresError) -> Rows {
        let name = try prepared(sql)
        let result = Self.withPointers(parameters) { values, lengths, formats in
            PQexecPrepared(handle, name, Int32(parameters.count), values, lengths, formats, 0)
        }
        return Rows(try checked(result))
    }

    @discardableResult
    public func queryPrepared(_ sql: String, _ parameters: Parameter...) throws(PostgresError) -> Rows {
        try queryPrepared(sql, parameters)
    }

    /// The name under which the database knows the statement.
    private func prepared(_ sql: String) throws(PostgresError) -> String {
        if let name = statements[sql] { return name }
        // Counted and not derived from the text: one that failed may have taken its name all the same.
        statementCount += 1
        let name = "s\(statementCount)"
        _ = try checked(PQprepare(handle, name, sql, 0, nil))
        statements[sql] = name
        return name
    }

    /// Runs `body` in a transaction: committed when it returns, rolled back when it throws. Within another one it is a
    /// part of that, which may be rolled back alone and is committed with the whole.
    public func transaction<Result>(_ body: () throws -> Result) throws -> Result {
        let savepoint = depth > 0 ? "part_\(depth)" : nil
        try query(savepoint.map { "SAVEPOINT \($0)" } ?? "BEGIN")
        depth += 1
        defer { depth -= 1 }
        do {
            let result = try body()
            // The server takes COMMIT then as well, and rolls back.
            guard PQtransactionStatus(handle) != PQTRANS_INERROR else { throw PostgresError.failedTransaction }
            try query(savepoint.map { "RELEASE SAVEPOINT \($0)" } ?? "COMMIT")
            return result
        } catch {
            if isHealthy { rollBack(to: savepoint) }
            throw error
        }
    }

    private func rollBack(to savepoint: String?) {
        guard let savepoint else {
            _ = try? query("ROLLBACK")
            return
        }
        _ = try? query("ROLLBACK TO SAVEPOINT \(savepoint)")
        // It is still there, and the next part would be one within it: with a thousand of them each takes long.
        _ = try? query("RELEASE SAVEPOINT \(savepoint)")
    }

    /// False where the present transaction has changed nothing for certain.
    public var mayHaveWritten: Bool {
        (try? query("SELECT txid_current_if_assigned() IS NOT NULL AS written"))?.first?.bool("written") ?? true
    }

    private func checked(_ result: OpaquePointer?) throws(PostgresError) -> OpaquePointer {
        switch PQresultStatus(result) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY: return result!
        default:
            let error = PostgresError(result: result, connection: handle)
            PQclear(result)
            throw error
        }
    }

    private static func withPointers(
        _ parameters: [Parameter],
        _ body: (UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?, UnsafePointer<Int32>?) -> OpaquePointer?
    ) -> OpaquePointer? {
        let lengths = parameters.map { Int32($0.bytes?.count ?? 0) }
        let formats = parameters.map { Int32($0.isBinary ? 1 : 0) }
        var values: [UnsafePointer<CChar>?] = []
        values.reserveCapacity(parameters.count)
        func pin(_ index: Int) -> OpaquePointer? {
            guard index < parameters.count else { return body(values, lengths, formats) }
            guard let bytes = parameters[index].bytes else {
                values.append(nil)
                return pin(index + 1)
            }
            return bytes.withUnsafeBytes { buffer in
                // An empty value still needs an address: a null pointer would be NULL.
                values.append(buffer.baseAddress?.assumingMemoryBound(to: CChar.self) ?? emptyValue)
                return pin(index + 1)
            }
        }
        return pin(0)
    }

    private nonisolated(unsafe) static let emptyValue: UnsafePointer<CChar> = {
        let byte = UnsafeMutablePointer<CChar>.allocate(capacity: 1)
        byte.pointee = 0
        return UnsafePointer(byte)
    }()
}

/// `name` as it stands in a statement, quoted.
public func quotedIdentifier(_ name: String) -> String {
    "\"" + name.replacing("\"", with: "\"\"") + "\""
}
