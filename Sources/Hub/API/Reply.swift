import HubModel
import Postgres
import SimdJSON

/// A request that the hub does not carry out: the status, as in HTTP, and the reason.
struct Refusal: Error, CustomStringConvertible {
    enum Status: Int64 {
        case badRequest = 400
        case forbidden = 403
        case notFound = 404
        case conflict = 409
        case tooLarge = 413
        case internalError = 500
        case unavailable = 503
    }

    let status: Status
    let reason: String

    init(_ status: Status, _ reason: String) {
        self.status = status
        self.reason = reason
    }

    /// What a requester is told of any error.
    init(_ error: any Error) {
        switch error {
        case let refusal as Refusal: self = refusal
        case let error as ValidationError: self.init(.badRequest, error.description)
        case let error as BindingShortage: self.init(.conflict, error.description)
        case let error as PostgresError where error.isUnavailable:
            self.init(.unavailable, "the database is not available: \(error)")
        case let error as PostgresError where error.state.hasPrefix("53"):
            self.init(.unavailable, "the database is short of room or memory: \(error)")
        default: self.init(.internalError, "\(error)")
        }
    }

    var description: String { reason }
}

/// What a request is answered with.
struct Reply {
    private(set) var body: JSONObject
    /// Where the answer is not known yet.
    var awaited: Awaited?

    /// 200, and whatever the request asked for.
    init(_ members: JSONObject = [:]) {
        body = ["status": 200]
        for member in members { body[member.key] = member.value }
    }

    /// One that was given before; nil where it is no object.
    init?(stored body: JSON) {
        guard let object = body.object else { return nil }
        self.body = object
    }

    init(_ refusal: Refusal) {
        body = ["status": .int(refusal.status.rawValue), "error": .string(refusal.reason)]
    }

    /// The reply to a document of several items, some of which may have been refused: `results` has one object with
    /// `status` and perhaps `error` for each.
    init(results: [JSONObject], named name: String = "results") {
        let refused = results.filter { ($0["status"]?.int ?? 200) >= 300 }
        body = ["status": refused.first?["status"] ?? 200]
        if let first = refused.first?["error"]?.string {
            body["error"] = .string(
                results.count == 1 ? first : "\(refused.count) of \(results.count) refused; the first: \(first)")
        }
        body[name] = .array(results.map { .object($0) })
    }

    mutating func set(_ key: String, _ value: JSON) { body[key] = value }
}

extension JSON {
    static func text(_ value: String?) -> JSON { value.map { .string($0) } ?? .null }
    static func text(_ value: Identifier?) -> JSON { text(value?.text) }
}
