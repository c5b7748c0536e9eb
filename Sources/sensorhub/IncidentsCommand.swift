import ArgumentParser
import SimdJSON

struct IncidentsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "incidents", abstract: "Show what a person should look at, the newest first.",
        discussion: "Those that are over are on record too: --all.")

    private enum Selection: String, EnumerableFlag {
        case open, all

        static func help(for value: Selection) -> ArgumentHelp? {
            switch value {
            case .open: "Those that are not over, as without it."
            case .all: "Those that are over, too."
            }
        }
    }

    @Flag private var selection = Selection.open
    @Option(help: "How many, the newest (1 to 10000).") var last = 100
    @Option(
        help: ArgumentHelp(
            "Only these: ingest, broker-queue, broker-drops, sensor-fault or sensor-alert.", valueName: "kind"))
    var kind: String?
    @OptionGroup var list: ListOptions
    @OptionGroup var options: HubOptions

    private static let columns = [
        Column("id", .number, isUsual: false), Column("kind"), Column("subject"), Column("opened_at", .time),
        Column("closed_at", .time), Column("reason"),
    ]

    func validate() throws {
        guard (1...10_000).contains(last) else { throw ValidationError("--last must be from 1 to 10000") }
        _ = try Listing(list, of: Self.columns)
    }

    func run() async throws {
        let listing = try Listing(list, of: Self.columns)
        var parameters: JSONObject = ["all": .bool(selection == .all), "last": .int(Int64(last))]
        if let kind { parameters["kind"] = .string(kind) }
        let reply = try await options.connect().reply(to: "incidents", "list", parameters)
        try listing.show(
            reply, "incidents", options,
            whenEmpty: selection == .all ? "no incident is on record" : "no incident is open")
    }
}
