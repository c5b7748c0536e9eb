import HubModel
import Postgres
import SimdJSON

// Requests that come twice: where a connection is lost before the broker has confirmed a message, its client sends that
// again. One that has a name is carried out once; one that was refused has not been, and may be tried again.

/// What a request is known by: its own name, what it asks for, and whose it is.
struct RequestKey: Hashable {
    /// The algorithm instance that asks; nil for a person.
    let asker: Identifier?
    /// `service/method/name`
    let name: String

    /// As nodes know it.
    var text: String { asker.map { "\($0)/\(name)" } ?? name }
}

extension HubCore {
    /// Carries out a request, or gives the reply that it had.
    func carryOut(_ request: Request) throws -> Reply {
        let method = try method(of: request)
        guard method.record != .none else { return try method.run(self, request) }
        let key = try request.key()
        guard method.record == .held else { return try store(method, request, key) }
        if let key, let known = heldReplies[key] { return known }
        let reply = try method.run(self, request)
        if let key, reply.awaited == nil { heldReplies.add(key, reply) }
        return reply
    }

    /// Worth another try, which nobody need be told of.
    func isTransient(_ error: any Error) -> Bool {
        (error as? PostgresError).map { $0.isUnavailable || $0.isConflict } ?? false
    }

    /// Carries out a request in one transaction with its reply.
    private func store(_ method: Method, _ request: Request, _ key: RequestKey?) throws -> Reply {
        var mayHaveWritten = true
        do {
            return try database.transaction {
                do {
                    if let key, let known = try storedReply(to: key) { return known }
                    let reply = try method.run(self, request)
                    if let key {
                        try database.queryPrepared(
                            "INSERT INTO hub.request (asker, name, reply) VALUES ($1, $2, $3)",
                            .text(key.asker?.text ?? ""), .text(key.name), .text(JSON.object(reply.body).text()))
                    }
                    return reply
                } catch {
                    mayHaveWritten = database.mayHaveWritten
                    throw error
                }
            }
        } catch {
            // Parts of it may have gone well, and be known as done.
            if mayHaveWritten, database.isHealthy { try readAll() }
            throw error
        }
    }

    private func storedReply(to key: RequestKey) throws -> Reply? {
        try database.queryPrepared(
            "SELECT reply FROM hub.request WHERE asker = $1 AND name = $2", .text(key.asker?.text ?? ""),
            .text(key.name)
        ).first.flatMap { Reply(stored: try JSON(parsing: $0.text("reply"))) }
    }

    /// The reply that was waited for is there.
    func replaceStoredReply(to key: RequestKey, by reply: Reply) throws(PostgresError) {
        try database.queryPrepared(
            "UPDATE hub.request SET reply = $3 WHERE asker = $1 AND name = $2", .text(key.asker?.text ?? ""),
            .text(key.name), .text(JSON.object(reply.body).text()))
    }

    /// Removes what nobody sends again any more.
    func forgetRequests() throws(PostgresError) {
        try database.query("DELETE FROM hub.request WHERE at < now() - interval '1 hour'")
    }
}
