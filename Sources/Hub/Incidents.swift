import HubModel
import MQTT
import Postgres
import SimdJSON

extension HubCore {
    /// Opens an incident, or gives the open one of that kind and subject its new reason. While the database cannot take
    /// it, it is told to whoever follows the events, and written later.
    func open(_ kind: String, _ subject: String, reason: String) {
        let key = IncidentKey(kind: kind, subject: subject)
        guard openIncidents[key] != reason else { return }
        if openIncidents[key] == nil {
            logger.warning("incident \(kind): \(reason)")
            tell("incident.opened", key, reason)
        }
        openIncidents[key] = reason
        unwrittenIncidents.insert(key)
    }

    /// Closes an incident, if it is open.
    func close(_ kind: String, _ subject: String) {
        let key = IncidentKey(kind: kind, subject: subject)
        guard let reason = openIncidents.removeValue(forKey: key) else { return }
        logger.notice("incident \(kind) is over")
        tell("incident.closed", key, reason)
        unwrittenIncidents.insert(key)
    }

    /// Writes what has changed; what cannot be written now is tried again.
    func writeIncidents() {
        for key in unwrittenIncidents {
            do {
                if let reason = openIncidents[key] {
                    try database.query(
                        """
                        INSERT INTO hub.incident (kind, subject, reason) VALUES ($1, $2, $3)
                        ON CONFLICT (kind, subject) WHERE closed_at IS NULL DO UPDATE SET reason = EXCLUDED.reason
                        """, .text(key.kind), .text(key.subject), .text(reason))
                } else {
                    try database.query(
                        "UPDATE hub.incident SET closed_at = now() WHERE kind = $1 AND subject = $2 AND closed_at IS NULL",
                        .text(key.kind), .text(key.subject))
                }
                unwrittenIncidents.remove(key)
            } catch {
                return
            }
        }
    }

    private func tell(_ kind: String, _ key: IncidentKey, _ reason: String) {
        let event: JSON = [
            "kind": .string(kind), "incident": .string(key.kind), "subject": .string(key.subject),
            "reason": .string(reason), "t": .int(microsecondsSince1970()),
        ]
        publish(.init(topic: topics.event(kind), payload: event.bytes()))
    }

    // MARK: What is watched

    /// Says so when readings are not stored for longer than a moment.
    func watch(_ ingest: Ingest) {
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
                open(
                    "broker-drops", "broker",
                    reason: "the broker has thrown away \(number - before) messages in the last seconds (\(number) in all): "
                        + "a queue was full; drivers of ours send theirs again")
            } else {
                close("broker-drops", "broker")
            }
        case Topics.queuedMessages:
            let limit = configuration.brokerQueueLimit
            if number > limit * 8 / 10 {
                open("broker-queue", "broker", reason: "\(number) messages wait in the broker, which throws away more than \(limit)")
            } else if number < limit / 2 {
                close("broker-queue", "broker")
            }
        default: break
        }
    }
}

/// What an incident is about; there is one open of each.
struct IncidentKey: Hashable {
    let kind: String
    let subject: String
}

extension Topics {
    static let droppedMessages = "$SYS/broker/publish/messages/dropped"
    static let queuedMessages = "$SYS/broker/store/messages/count"
}
