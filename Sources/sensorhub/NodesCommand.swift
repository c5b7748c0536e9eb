import ArgumentParser
import SimdJSON

struct NodesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nodes", abstract: "List the machines that have an agent, and what is placed on them.",
        discussion: "SINCE says since when a node has its status; STATES counts its programs as it last told; "
            + "COMMANDS is true where it takes those of sensorhub run. "
            + "Columns: \(columns.map(\.name).joined(separator: ", ")).")
    @OptionGroup var list: ListOptions
    @OptionGroup var options: HubOptions

    private static let columns = [
        Column("node"), Column("status", .words(["online", "offline"])), Column("since", .time), Column("version"),
        Column("drivers", .number), Column("algorithms", .number), Column("states"),
        Column("commands", .words(["true", "false"]), isUsual: false),
        Column("cpu", .number, text: { Figure.percent($0["cpu"]) }),
        Column(
            "load", .number,
            text: { node in
                ["load", "load_5", "load_15"].map { node.plain($0) }.joined(separator: " ")
            }),
        Column("memory_available", .bytes, text: { Figure.part($0["memory_available"], of: $0["memory"]) }),
        Column("disk_free", .bytes, text: { Figure.part($0["disk_free"], of: $0["disk"]) }),
        Column(
            "temperature", .number, text: { node in node["temperature"]?.double.map { "\(Figure.short($0)) °C" } ?? "" }
        ),
        Column("load_5", .number, isUsual: false), Column("load_15", .number, isUsual: false),
        Column("memory", .bytes, isUsual: false), Column("disk", .bytes, isUsual: false),
        Column("uptime", .seconds, isUsual: false), Column("sampled", .time, isUsual: false),
    ]

    func validate() throws {
        _ = try Listing(list, of: Self.columns)
    }

    func run() async throws {
        let listing = try Listing(list, of: Self.columns)
        let reply = try await options.connect().reply(to: "nodes", "list")
        try listing.show(reply, "nodes", options, whenEmpty: "no agent has been here yet: sensorhub enroll node ID")
    }
}
