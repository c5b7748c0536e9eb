import HubModel
import Postgres
import SimdJSON

extension HubCore {
    /// `nodes/list`: every node whose agent has ever been here.
    func listNodes(_ parameters: DocumentReader) throws -> Reply {
        try parameters.allowOnly([])
        var states: [String: JSONObject] = [:]
        let counts = try database.query(
            "SELECT node, state, count(*) AS count FROM hub.program GROUP BY node, state ORDER BY node, state")
        for row in counts { states[row.text("node"), default: [:]][row.text("state")] = .int(row.int("count")) }
        let rows = try database.query(
            """
            SELECT name, status, version, (extract(epoch FROM since) * 1000000)::bigint AS since
            FROM hub.node ORDER BY name
            """)
        return Reply([
            "nodes": .array(
                rows.map { row in
                    let node = Identifier(row.text("name"))
                    let drivers = registry.sensors.values.count { $0.driver != nil && $0.node == node }
                    let algorithms = instances.values.count { $0.node == node }
                    var object: JSONObject = [
                        "node": .string(row.text("name")), "status": .string(row.text("status")),
                        "since": .int(row.int("since")),
                        "version": .string(row.text("version")), "drivers": .int(Int64(drivers)),
                        "algorithms": .int(Int64(algorithms)),
                        "commands": .bool(node.map(commandNodes.contains) ?? false),
                        "states": .object(states[row.text("name")] ?? [:]),
                    ]
                    let isOnline = row.text("status") == "online"
                    for member in nodeFigures(isOnline ? node : nil) { object[member.key] = member.value }
                    return .object(object)
                })
        ])
    }
}
