import ArgumentParser
import SimdJSON

struct IncidentsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "incidents", abstract: "Show what a person should look at, the newest first.",
        discussion:
            "Those that are over are on record too: --all. With a number, one of them with all that was kept with it, "
            + "such as the last lines of a program that keeps ending.")

    private enum Selection: String, EnumerableFlag {
        case open, all

        static func help(for value: Selection) -> ArgumentHelp? {
            switch value {
            case .open: "Those that are not over, as without it."
            case .all: "Those that are over, too."
            }
        }
    }

    @Argument(help: "The incident's number, as in the column ID.") var id: Int64?
    @Flag private var selection = Selection.open
    @Option(help: "How many, the newest (1 to 10000).") var last = 100
    @Option(
        help: ArgumentHelp(
            "Only these: ingest, broker-queue, broker-drops, crash-loop, sensor-fault or sensor-alert.",
            valueName: "kind"))
    var kind: String?
    @OptionGroup var list: ListOptions
    @OptionGroup var options: HubOptions

    private static let columns = [
        Column("id", .number), Column("kind"), Column("subject"), Column("opened_at", .time),
        Column("closed_at", .time), Column("reason"),
    ]

    func validate() throws {
        guard (1...10_000).contains(last) else { throw ValidationError("--last must be from 1 to 10000") }
        _ = try Listing(list, of: Self.columns)
    }

    func run() async throws {
        if let id { return try await show(id) }
        let listing = try Listing(list, of: Self.columns)
        var parameters: JSONObject = ["all": .bool(selection == .all), "last": .int(Int64(last))]
        if let kind { parameters["kind"] = .string(kind) }
        let reply = try await options.connect().reply(to: "incidents", "list", parameters)
        try listing.show(
            reply, "incidents", options,
            whenEmpty: selection == .all ? "no incident is on record" : "no incident is open")
    }

    private func show(_ id: Int64) async throws {
        let reply = try await options.connect().reply(to: "incidents", "show", ["id": .int(id)])
        try options.show(reply) { reply in
            let incident = reply["incident"] ?? .null
            for column in Self.columns where incident[column.name] ?? .null != .null {
                let label = column.name.replacing("_", with: " ")
                print(label + String(repeating: " ", count: max(1, 12 - label.count)) + column.text(of: incident))
            }
            let lines = incident["log"]?.array ?? []
            if !lines.isEmpty { print("\nthe last lines of its program:") }
            for line in lines { print(printable(line.string ?? "")) }
        }
    }
}
