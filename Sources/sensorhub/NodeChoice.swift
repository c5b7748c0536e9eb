import Embedded
import Files
import Glibc
import HubModel
import SimdJSON

/// Which node a command runs on where nobody says.
struct NodeChoice {
    private let names: [String]
    private let ready: [String]

    /// - Parameter nodes: of the hub's reply to `nodes/list`.
    init(_ nodes: [JSON]) {
        names = nodes.compactMap { $0["node"]?.string }
        ready = nodes.filter { $0["status"] == "online" && $0["commands"] == true }.compactMap { $0["node"]?.string }
    }

    /// This machine's node, else the only one that is there and takes commands.
    ///
    /// - Parameter here: what this machine's node may be called, the best first.
    /// - Throws: `CommandError` where there is none, or which one it is cannot be told.
    func choose(here: [String]) throws -> String {
        if let name = here.first(where: names.contains) { return name }
        guard ready.count != 1 else { return ready[0] }
        guard ready.isEmpty else {
            throw CommandError("which node is it to run on? --node is one of \(ready.joined(separator: ", "))")
        }
        throw CommandError(
            names.isEmpty
                ? "there is no node to run it on: 'sensorhub agent' makes a machine one"
                : "no node is online that takes commands (agent.commands in the settings of its agent); there are "
                    + names.joined(separator: ", "))
    }

    /// The node of the data folder's own agent, and the name of the machine.
    static func here(_ data: DataDirectory) -> [String] {
        var names: [String] = []
        if let bytes = try? File.bytes(of: data.agentConfiguration), let settings = try? JSON(parsing: bytes),
            let node = settings["node"]?["id"]?.string
        {
            names.append(node)
        }
        var host = [CChar](repeating: 0, count: 256)
        if gethostname(&host, host.count - 1) == 0 {
            let name = String(decoding: host.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            names += [name, name.split(separator: ".").first.map { String($0) } ?? name]
        }
        return names
    }
}
