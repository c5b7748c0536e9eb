import ArgumentParser
import HubModel
import SimdJSON

struct ReadingsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "readings", abstract: "Show the newest readings of a sensor.",
        discussion: "They come from the database; with --follow new ones come from the broker, as they are published.")
    @Argument(help: "The sensor's id.") var sensor: String
    @Option(help: "How many readings.") var last = 10
    @Flag(help: "Go on with what comes.") var follow = false
    @OptionGroup var options: HubOptions

    func run() async throws {
        let client = try await options.connect()
        let messages = follow ? client.follow(client.topics.sensor(sensor, .data)) : nil
        let reply = try await client.reply(
            to: "readings", "get", ["sensor": .string(sensor), "last": .int(Int64(last))])
        if options.json, !follow { return try options.show(reply) { _ in } }
        if let error = reply["error"]?.string { throw CommandError(error) }
        let fields = (reply["fields"]?.object ?? [:]).keys
        let readings = reply["readings"]?.array ?? []
        if options.json {
            readings.forEach { print($0.text()) }
        } else {
            var table = Table(["time"] + fields)
            for reading in readings { table.add(cells(reading, fields)) }
            table.print(whenEmpty: "no readings yet")
        }
        guard let messages else { return }
        flushOutput()
        for await message in messages {
            guard let value = try? JSON(parsing: message.payload) else { continue }
            for reading in value.array ?? [value] {
                if options.json {
                    print(reading.text())
                } else {
                    print(cells(reading, fields).joined(separator: "  "))
                }
            }
            flushOutput()
        }
    }

    /// A bare object of fields has no time of its own.
    private func cells(_ reading: JSON, _ fields: [String]) -> [String] {
        let values = reading["v"]?.object != nil ? reading["v"]! : reading
        let time = reading["v"]?.object == nil ? nil : reading["t"]?.int
        return [time.map { localTime(microseconds: $0) } ?? "now"] + fields.map { values.plain($0) }
    }
}
