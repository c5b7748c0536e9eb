import ArgumentParser
import HubModel
import SimdJSON

struct EventsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "Show what happened in the hub, oldest first.",
        discussion: "With --follow, what comes is shown too, and of the past only what --last or --since asks for.")
    @Option(
        help: ArgumentHelp(
            "Only these, such as node.offline, or node for all of its kind; may be given more than once.",
            valueName: "kind"))
    var kind: [String] = []
    @Option(help: "How many of the past, the newest (1 to 10000; 50 unless a time is given).") var last: Int?
    @OptionGroup var times: TimeOptions
    @Flag(help: "Go on with what comes.") var follow = false
    @OptionGroup var options: HubOptions

    private static let most = 10_000

    func validate() throws {
        if let last, !(1...Self.most).contains(last) { throw ValidationError("--last must be from 1 to \(Self.most)") }
        if follow, times.until != nil { throw ValidationError("--follow has no end: leave out --until") }
    }

    func run() async throws {
        let client = try await options.connect()
        // Followed first, so that no event is lost in between.
        let news = follow ? news(client) : nil
        let count = last ?? (times.isGiven ? Self.most : follow ? 0 : 50)
        // The newest one says from when on all others are to be told.
        var parameters: JSONObject = ["last": .int(Int64(follow ? max(count, 1) : count))]
        if !kind.isEmpty { parameters["kinds"] = .array(kind.map { .string($0) }) }
        if let since = times.since { parameters["since"] = .int(since.microseconds) }
        if let until = times.until { parameters["until"] = .int(until.microseconds) }
        let reply = try await client.reply(to: "events", "list", parameters)
        if options.json, !follow { return try options.show(reply) { _ in } }
        if let error = reply["error"]?.string { throw CommandError(error) }
        let events = reply["events"]?.array ?? []
        events.suffix(count).forEach(show)
        if last == nil, events.count == Self.most {
            note("only the newest \(Self.most) are shown: say --last, or a shorter time")
        }
        guard let news else {
            if events.isEmpty { note("no such event is on record") }
            return
        }
        flushOutput()
        var sequence = EventSequence(kinds: reply["kinds"]?.array ?? [], after: events)
        for await item in news {
            switch item {
            case .told(let event): sequence.take([event]).forEach(show)
            // What was not heard, during an outage for example, is on record.
            case .look:
                let reply = try? await client.request("events", "list", sequence.missing, timeout: .seconds(5))
                sequence.take(reply?["events"]?.array ?? []).forEach(show)
            }
            flushOutput()
        }
    }

    private enum News: Sendable {
        case told(JSON)
        case look
    }

    /// Events as they come, and when it is time to look whether all of them have.
    private func news(_ client: HubClient) -> AsyncStream<News> {
        let (news, continuation) = AsyncStream.makeStream(of: News.self)
        let messages = client.follow(client.topics.events)
        Task {
            for await message in messages {
                if let event = try? JSON(parsing: message.payload) { continuation.yield(.told(event)) }
            }
        }
        client.onReconnect { continuation.yield(.look) }
        Task {
            while (try? await Task.sleep(for: .seconds(30))) != nil { continuation.yield(.look) }
        }
        return news
    }

    private func show(_ event: JSON) {
        if options.json { return print(event.text()) }
        var detail = event.object ?? [:]
        for key in ["t", "kind", "subject"] { detail[key] = nil }
        let words = [
            event.time("t"), event.plain("kind"), event.plain("subject"),
            JSON.object(detail).pairs,
        ]
        print(words.filter { !$0.isEmpty }.joined(separator: "  "))
    }
}
