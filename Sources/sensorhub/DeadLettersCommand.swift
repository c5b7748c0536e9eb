import ArgumentParser
import SimdJSON

struct DeadLettersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dead-letters", abstract: "Payloads that could not be stored: list, try again, drop.",
        subcommands: [List.self, Replay.self, Drop.self])

    /// Which ones.
    struct Selection: ParsableArguments {
        @Argument(help: "Numbers of dead letters, as 'list' shows them.") var ids: [Int64] = []
        @Option(help: "Those of this sensor.") var sensor: String?
        @Flag(help: "All of them.") var all = false

        var parameters: JSONObject {
            var parameters = JSONObject()
            if !ids.isEmpty { parameters["ids"] = .array(ids.map { .int($0) }) }
            if let sensor { parameters["sensor"] = .string(sensor) }
            if all { parameters["all"] = true }
            return parameters
        }

        func validate() throws {
            guard all || sensor != nil || !ids.isEmpty else {
                throw ValidationError("say which: numbers, --sensor ID or --all")
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List dead letters, the newest first.")
        @Option(help: "Only those of this sensor.") var sensor: String?
        @Option(help: "How many.") var last = 50
        @OptionGroup var options: HubOptions

        func run() async throws {
            var parameters: JSONObject = ["last": .int(Int64(last))]
            if let sensor { parameters["sensor"] = .string(sensor) }
            let reply = try await options.connect().reply(to: "dead_letters", "list", parameters)
            try options.show(reply) { reply in
                var table = Table(["number", "received", "topic", "field", "reason", "payload"])
                let letters = reply["letters"]?.array ?? []
                for letter in letters {
                    let payload = letter.plain("payload")
                    table.add([
                        letter.plain("id"), letter.time("t"), letter.plain("topic"),
                        letter.plain("field"), letter.plain("reason"),
                        payload.count > 60 ? "\(payload.prefix(60))…" : payload,
                    ])
                }
                table.print(whenEmpty: "there are none")
                let count = reply["count"]?.int ?? 0
                if count > letters.count { note("… and \(count - Int64(letters.count)) more; --last N shows more") }
            }
        }
    }

    struct Replay: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Try to store them again, with the time at which they first came.",
            discussion:
                "Sensible when the cause has gone: the sensor is registered now, or its type has gained the field.")
        @OptionGroup var selection: Selection
        @OptionGroup var options: HubOptions

        func run() async throws {
            let client = try await options.connect()
            let before = try await client.request("dead_letters", "list", ["last": 1])["count"]?.int ?? 0
            let reply = try await client.reply(to: "dead_letters", "replay", selection.parameters)
            if options.json { return try options.show(reply) { _ in } }
            try options.show(reply) { _ in }
            let ids = reply["ids"]?.array ?? []
            var left: Int64 = Int64(ids.count)
            var progress = ProgressLine()
            let deadline = ContinuousClock.now + .seconds(60)
            while left > 0, ContinuousClock.now < deadline {
                left =
                    try await client.request("dead_letters", "list", ["ids": .array(ids), "last": 1])["count"]?.int ?? 0
                if left > 0 {
                    progress.show("\(left) to go …")
                    try await Task.sleep(for: .milliseconds(100))
                }
            }
            progress.clear()
            let after = try await client.request("dead_letters", "list", ["last": 1])["count"]?.int ?? 0
            let failed = max(0, after - (before - Int64(ids.count)) - left)
            print(
                "\(ids.count) taken up: \(Int64(ids.count) - failed - left) stored, \(failed) still cannot be"
                    + (left > 0 ? ", \(left) are still waiting" : ""))
        }
    }

    struct Drop: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Throw them away.")
        @OptionGroup var selection: Selection
        @OptionGroup var options: HubOptions

        func run() async throws {
            let reply = try await options.connect().reply(to: "dead_letters", "drop", selection.parameters)
            try options.show(reply) { print("\($0.plain("count")) dropped") }
        }
    }
}
