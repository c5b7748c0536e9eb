import HubModel
import MQTT
import Postgres
import SimdJSON

extension HubCore {
    /// Opens an incident, or gives the open one of that kind and subject its new reason. While the database cannot take
    /// it, it is told to whoever follows the events, and written later.
    func open(_ kind: String, _ subject: String, reason: String) {
        let key = IncidentBook.Key(kind: kind, subject: subject)
        assert(Self.incidentKinds.contains(kind), "\(kind) is missing in incidentKinds")
        let time = microsecondsSince1970()
        guard incidents.open(key, reason: reason, at: time) else { return }
        logger.warning("incident \(kind) of \(subject): \(reason)")
        tell("incident.opened", key, reason, at: time)
    }

    /// Closes an incident, if it is open.
    func close(_ kind: String, _ subject: String) {
        let key = IncidentBook.Key(kind: kind, subject: subject)
        let time = microsecondsSince1970()
        guard let reason = incidents.close(key, at: time) else { return }
        logger.notice("incident \(kind) of \(subject) is over")
        tell("incident.closed", key, reason, at: time)
    }

    /// Writes what has changed; what the database does not take now is tried again.
    ///
    /// - Throws: `PostgresError` where the database is away.
    func writeIncidents() throws {
        while let change = incidents.nextChange {
            do {
                switch change {
                case .opened(let key, let reason, let time):
                    try database.query(
                        """
                        INSERT INTO hub.incident (kind, subject, reason, opened_at)
                        VALUES ($1, $2, $3, to_timestamp($4))
                        ON CONFLICT (kind, subject) WHERE closed_at IS NULL DO UPDATE SET reason = EXCLUDED.reason
                        """, .text(key.kind), .text(key.subject), .text(reason), .double(Double(time) / 1e6))
                    if let program = ProgramID(title: key.subject) { try keepLines(of: program, with: key) }
                case .closed(let key, let time):
                    try database.query(
                        """
                        UPDATE hub.incident SET closed_at = to_timestamp($3)
                        WHERE kind = $1 AND subject = $2 AND closed_at IS NULL
                        """, .text(key.kind), .text(key.subject), .double(Double(time) / 1e6))
                }
            } catch {
                if error.isUnavailable { throw error }
                return
            }
            incidents.wroteNext()
        }
    }

    /// With an incident about a program, the last lines that it wrote: by the time that somebody looks, they may be gone.
    private func keepLines(of program: ProgramID, with key: IncidentBook.Key) throws(PostgresError) {
        try database.query(
            """
            UPDATE hub.incident SET log = (
                SELECT array_agg(line ORDER BY number) FROM (
                    SELECT number, line FROM hub.log_line WHERE kind = $3 AND id = $4 ORDER BY number DESC LIMIT 100) AS last)
            WHERE kind = $1 AND subject = $2 AND closed_at IS NULL
            """,
            .text(key.kind), .text(key.subject), .text(program.kind.rawValue), .text(program.id.text))
    }

    private func tell(_ kind: String, _ key: IncidentBook.Key, _ reason: String, at time: Int64) {
        let detail: JSONObject = ["incident": .string(key.kind), "reason": .string(reason)]
        let event = Self.event(kind, key.subject, detail, at: time)
        publish(.init(topic: topics.event(kind), payload: event.bytes()))
    }

    // MARK: What is watched

    /// Says so when readings are not stored for longer than a moment, and when it is long ago that the broker has
    /// thrown something away: it repeats no figure that stays the same.
    func watch(_ ingest: Ingest) {
        if lastDrop.duration(to: .now) > .seconds(30) { close("broker-drops", "broker") }
        if let failure = ingest.failure, failure.since.duration(to: .now) > .seconds(2) {
            open("ingest", "hub", reason: "readings are not stored, the broker keeps them: \(failure.reason)")
        } else if ingest.failure == nil {
            close("ingest", "hub")
        }
    }

    /// The broker's own figures, on `$SYS`.
    func handleBrokerFigure(_ message: Message) {
        guard let number = Int64(String(decoding: message.payload, as: UTF8.self)) else { return }
        switch message.topic {
        case Topics.droppedMessages:
            defer { droppedMessages = number }
            guard let before = droppedMessages else { return }
            if number > before {
                lastDrop = .now
                open(
                    "broker-drops", "broker",
                    reason:
                        "the broker has thrown away \(number - before) messages in the last seconds (\(number) in all): "
                        + "a queue was full; drivers of ours send theirs again")
            }
        case Topics.queuedMessages:
            let limit = configuration.brokerQueueLimit
            if number > limit * 8 / 10 {
                open(
                    "broker-queue", "broker",
                    reason: "\(number) messages wait in the broker, which throws away more than \(limit)")
            } else if number < limit / 2 {
                close("broker-queue", "broker")
            }
        default: break
        }
    }
}

extension IncidentBook {
    /// With what an earlier hub has left open.
    init(from database: Connection) throws(PostgresError) {
        var open: [Key: String] = [:]
        for row in try database.query("SELECT kind, subject, reason FROM hub.incident WHERE closed_at IS NULL") {
            open[Key(kind: row.text("kind"), subject: row.text("subject"))] = row.text("reason")
        }
        self.init(open: open)
    }
}

extension Topics {
    static let droppedMessages = "$SYS/broker/publish/messages/dropped"
    static let queuedMessages = "$SYS/broker/store/messages/count"
}
