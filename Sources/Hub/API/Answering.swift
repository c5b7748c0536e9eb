import HubModel
import MQTT
import Postgres

extension HubCore {
    private static let maximumAwaited = 1_000

    /// Answers a request.
    ///
    /// - Parameter instance: the algorithm instance whose request it is; nil for a person's.
    func answer(_ message: Message, service: String, method: String, of instance: Identifier? = nil) {
        answer(message, of: instance) { try Request(message, service: service, method: method, of: instance) }
    }

    func answer(_ message: Message, of instance: Identifier? = nil, _ read: () throws -> Request) {
        // A retained one would be carried out again with each start of the hub.
        guard !message.isRetained else { return }
        let outgoing: OutgoingMessage?
        let reply: Reply
        do {
            let request = try read()
            // The first one's reply is still to come, and is this one's as well.
            if let key = try? request.key(), awaited.contains(where: { (try? $0.request.key()) == key }) { return }
            reply = self.reply(to: request)
            if let start = reply.awaited, awaited.count < Self.maximumAwaited {
                awaited.append((start, request))
                return
            }
            outgoing = request.message(with: reply, topics: topics)
        } catch {
            reply = Reply(Refusal(error))
            outgoing = Request.reply(
                reply, to: message.responseTopic, correlation: message.correlation, topics: topics)
        }
        guard let outgoing else {
            if let reason = reply.body["error"]?.string, !reason.isEmpty {
                logger.warning("\(message.topic): refused, and the request names no topic for the reply: \(reason)")
            }
            return
        }
        // An algorithm is answered itself and nobody else.
        if let instance, !outgoing.topic.hasPrefix("\(topics.client(.algorithm(instance)))/") { return }
        publish(outgoing)
    }

    private func reply(to request: Request) -> Reply {
        let waiting = outboxCount
        do {
            do {
                return try carryOut(request)
            } catch  where isTransient(error) {
                // A database that restarts is back in a moment; nobody need be told.
                withdraw(after: waiting)
                if (error as? PostgresError)?.isUnavailable == true { try reconnect(within: .seconds(6)) }
                return try carryOut(request)
            }
        } catch {
            // Nothing was done, so nothing is to be told.
            withdraw(after: waiting)
            let refusal = Refusal(error)
            if refusal.status == .internalError { logger.error("\(request.service)/\(request.method): \(refusal)") }
            return Reply(refusal)
        }
    }
}
