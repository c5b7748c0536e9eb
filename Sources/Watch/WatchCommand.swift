import Glibc
import HubModel
package import SimdJSON

/// What a watch can be asked for.
package enum WatchCommand: Sendable, Hashable {
    /// Ends the program, and with it the watch.
    case stop(reason: String)
    /// To the process group, if it is still that run.
    case signal(Int32, run: Int64, part: RequestPart? = nil)
    /// For the program's stdin, if it is still that run.
    case input([UInt8], isEnd: Bool, run: Int64, part: RequestPart? = nil)

    /// Input that one command takes: in base64, with the longest name of a request, it is within a step of the pipe.
    package static let maximumInput = 2_700

    /// Which part of which request it is, where it may be told again.
    var part: RequestPart? {
        switch self {
        case .stop: nil
        case .signal(_, _, let part), .input(_, _, _, let part): part
        }
    }

    private var json: JSON {
        var object: JSONObject =
            switch self {
            case .stop(let reason): ["command": "stop", "reason": .string(String(reason.prefix(500)))]
            case .signal(let signal, let run, _):
                ["command": "signal", "signal": .int(Int64(signal)), "run": .int(run)]
            case .input(let bytes, let isEnd, let run, _):
                ["command": "input", "data": .string(Base64.encode(bytes)), "end": .bool(isEnd), "run": .int(run)]
            }
        if let part {
            object["request"] = .string(part.request)
            object["part"] = .int(part.number)
        }
        return .object(object)
    }

    init?(_ json: JSON) {
        let reader = DocumentReader(json)
        do {
            switch try reader.required("command").string() {
            case "stop": self = .stop(reason: try reader.required("reason").string())
            case "signal":
                self = .signal(
                    Int32(try reader.required("signal").int(1...64)), run: try reader.required("run").int(),
                    part: try RequestPart(reader))
            case "input":
                guard let bytes = Base64.decode(try reader.required("data").string().utf8) else { return nil }
                self = .input(
                    bytes, isEnd: try reader.required("end").bool(), run: try reader.required("run").int(),
                    part: try RequestPart(reader))
            default: return nil
            }
        } catch {
            return nil
        }
    }

    /// Hands the command to the watch of a folder.
    ///
    /// - Returns: false where there is none, or it has too much to do.
    package func send(to folder: WatchFolder) -> Bool {
        CommandPipe.send(json, to: folder.control)
    }
}

/// A part of what the hub has asked for. An agent that was killed may have told a watch of it already, which the next agent
/// cannot know; parts come in order.
package struct RequestPart: Sendable, Hashable {
    let request: String
    /// From 0.
    let number: Int64

    package init(of request: String, number: Int64 = 0) {
        self.request = request
        self.number = number
    }

    fileprivate init?(_ reader: DocumentReader) throws(ValidationError) {
        guard let request = try reader.optional("request")?.requestName() else { return nil }
        self.init(of: request, number: try reader.required("part").int())
    }
}
