import HubModel
import MQTT
import Postgres

extension HubCore {
    /// Answers a request.
    ///
    /// - Parameter instance: the algorithm instance whose request it is; nil for a person's.
    func answer(_ message: Message, service: String, method: String, of instance: Identifier? = nil) {
        answer(message, of: instance) { try Request(message, service: service, method: method, of: instance) }
    }

    func answer(_ message: Message, of instance: Identifier? = nil, _ read: () throws -> Request) {
        // A retained one would be carried out again with each start of the hub.
        guard !message.isRetained else { return }
        let request: Request
        do {
            request = try read()
        } catch {
            let refusal = Refusal(error)
            return publish(
                Request.reply(
                    Reply(refusal), to: message.responseTopic, correlation: message.correlation, topics: topics),
                of: instance, message.topic, refusal.reason)
        }
        // The reply is still to come, and goes to who asked last: one who asks again has given up the first time.
        if let key = try? request.key(), let index = awaited.firstIndex(where: { (try? $0.request.key()) == key }) {
            awaited[index].request = request
            return
        }
        let reply = reply(to: request)
        if let awaited = reply.awaited, hasRoom(for: request) {
            self.awaited.append(AwaitedReply(awaited: awaited, request: request, reply: reply))
        } else {
            deliver(reply, to: request)
        }
    }

    /// Gives a request its reply.
    func deliver(_ reply: Reply, to request: Request) {
        publish(
            request.message(with: reply, topics: topics), of: request.instance, request.topic,
            reply.body["error"]?.string ?? "")
    }

    private func publish(_ reply: OutgoingMessage?, of instance: Identifier?, _ topic: String, _ error: String) {
        guard let reply else {
            if !error.isEmpty {
                logger.warning("\(topic): refused, and the request names no topic for the reply: \(error)")
            }
            return
        }
        // An algorithm is answered itself and nobody else.
        if let instance, !reply.topic.hasPrefix("\(topics.client(.algorithm(instance)))/") { return }
        publish(reply)
    }

    private func reply(to request: Request) -> Reply {
        let told = told
        do {
            do {
                return try carryOut(request)
            } catch let error where isTransient(error) {
                // A database that restarts is back in a moment; nobody need be told.
                withdraw(to: told)
                if (error as? PostgresError)?.isUnavailable == true { try reconnect(within: .seconds(6)) }
                return try carryOut(request)
            }
        } catch {
            // Nothing was done, so nothing is to be told.
            withdraw(to: told)
            let refusal = Refusal(error)
            if refusal.status == .internalError { logger.error("\(request.service)/\(request.method): \(refusal)") }
            return Reply(refusal)
        }
    }
}
