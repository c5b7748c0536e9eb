import Files
import HubModel

/// Counts the starts of a program on this node, over restarts of the agent too: the hub tells runs apart by their
/// numbers.
struct RunCounter: Sendable {
    private let path: String

    init(program: ProgramID, folders: AgentFolders) {
        path = "\(folders.program(program))/run"
    }

    /// The number of the last run; 0 before the first.
    var last: Int64 {
        guard let bytes = try? File.bytes(of: path, limit: 32) else { return 0 }
        // Beyond what a program can have run it is no count.
        return Int64(String(decoding: bytes, as: UTF8.self)).flatMap { (0...(1 << 53)).contains($0) ? $0 : nil } ?? 0
    }

    func keep(_ run: Int64) {
        // Where this fails so does much else; a run that the hub takes for an earlier one is the least of it.
        try? File.replace(path, with: String(run).utf8)
    }
}
