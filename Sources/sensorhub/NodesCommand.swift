import ArgumentParser
import SimdJSON

struct NodesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nodes", abstract: "List the machines that have an agent, and what is placed on them.",
        discussion: "SINCE says since when a node has its status; STATES counts its programs as it last told.")
    @OptionGroup var list: ListOptions
    @OptionGroup var options: HubOptions

    private static let columns = [
        Column("node"), Column("status", .words(["online", "offline"])), Column("since", .time), Column("version"),
        Column("drivers", .number), Column("algorithms", .number), Column("states"),
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
