import Glibc
import HubModel
package import SimdJSON

/// What a watch can be asked for.
package enum WatchCommand: Sendable, Hashable {
    /// Ends the program, and with it the watch.
    case stop(reason: String)
    /// To the process group, if it is still that run.
    case signal(Int32, run: Int64)
    /// For the program's stdin, if it is still that run.
    case input([UInt8], isEnd: Bool, run: Int64)

    /// Input that one command takes.
    package static let maximumInput = 2_800

    private var json: JSON {
        switch self {
        case .stop(let reason): ["command": "stop", "reason": .string(String(reason.prefix(500)))]
        case .signal(let signal, let run): ["command": "signal", "signal": .int(Int64(signal)), "run": .int(run)]
        case .input(let bytes, let isEnd, let run):
            ["command": "input", "data": .string(Base64.encode(bytes)), "end": .bool(isEnd), "run": .int(run)]
        }
    }

    init?(_ json: JSON) {
        let reader = DocumentReader(json)
        do {
            switch try reader.required("command").string() {
            case "stop": self = .stop(reason: try reader.required("reason").string())
            case "signal":
                self = .signal(
                    Int32(try reader.required("signal").int(1...64)), run: try reader.required("run").int())
            case "input":
                guard let bytes = Base64.decode(try reader.required("data").string().utf8) else { return nil }
                self = .input(
                    bytes, isEnd: try reader.required("end").bool(), run: try reader.required("run").int())
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
