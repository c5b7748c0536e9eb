/// A message on the topic `control`, read.
enum ReceivedCall: Hashable {
    case call(ControlCall)
    /// No call, but with an id to reply to.
    case refused(id: String, reason: String)
    case unreadable(reason: String)
    /// An empty message, which takes away a retained one.
    case nothing

    init(_ payload: [UInt8], isRetained: Bool) {
        guard !payload.isEmpty else {
            self = .nothing
            return
        }
        let json: JSON
        do {
            json = try JSON(parsing: payload)
        } catch {
            self = .unreadable(reason: "\(error)")
            return
        }
        do throws(ValidationError) {
            let call = try ControlCall(DocumentReader(json))
            // It would come again at each connect.
            self = isRetained ? .refused(id: call.id, reason: "a retained message is no call") : .call(call)
        } catch {
            if let id = json["id"]?.string, !id.isEmpty {
                self = .refused(id: id, reason: error.description)
            } else {
                self = .unreadable(reason: error.description)
            }
        }
    }
}
