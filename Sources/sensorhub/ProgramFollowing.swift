import HubModel
import MQTT
import SimdJSON

/// Follows what a program writes, and a command to its end: its node tells lines as they come, and the hub those that were
/// not heard, after an outage for example. None is missing and none comes twice.
struct ProgramFollowing {
    /// A line that the program has written.
    struct Line {
        let stream: JournalRecord.Stream
        let text: String
        /// As the hub's reply to `logs/get` has it.
        let json: JSON
    }

    private enum Event: Sendable {
        case message(Message)
        case reconnected
        case look
    }

    private let program: ProgramID
    private let client: HubClient
    private let isToItsEnd: Bool
    private let show: (Line) -> Void
    private let tell: (String) -> Void
    private let events: AsyncStream<Event>
    private let continuation: AsyncStream<Event>.Continuation

    /// Nil for what is no line.
    private var sequence: RecordSequence<Line?>
    /// The end, and where in the journal it stands.
    private var end: (end: CommandEnd, position: JournalPosition)?
    private var backoff: Backoff
    private var nextLook: Task<Void, Never>?
    private var isAway = false

    /// Lines that the hub is asked for at a time.
    private static let page = 1_000

    /// - Parameters:
    ///   - isToItsEnd: true for a command whose end is waited for.
    ///   - position: what the program's journal has up to here is known already.
    ///   - show: called with each line.
    ///   - tell: called with what a person should know, about outages.
    init(
        _ program: ProgramID, _ client: HubClient, isToItsEnd: Bool, after position: JournalPosition? = nil,
        show: @escaping (Line) -> Void, tell: @escaping (String) -> Void
    ) {
        self.program = program
        self.client = client
        self.isToItsEnd = isToItsEnd
        self.show = show
        self.tell = tell
        sequence = RecordSequence(after: position)
        backoff = Backoff(first: .milliseconds(200), cap: isToItsEnd ? .seconds(5) : .seconds(30))
        (events, continuation) = AsyncStream.makeStream()
        client.onReconnect { [continuation] in continuation.yield(.reconnected) }
    }

    /// Returns at the command's end, where that is waited for.
    ///
    /// - Throws: `CommandError` where the hub does not know the program any more.
    mutating func run() async throws -> CommandEnd {
        let messages = client.follow(client.topics.output(of: program), client.topics.changes(of: program))
        let forwarding = Task { [continuation] in
            for await message in messages { continuation.yield(.message(message)) }
        }
        defer {
            forwarding.cancel()
            nextLook?.cancel()
        }
        lookSoon()
        for await event in events {
            let wasIncomplete = sequence.isIncomplete
            switch event {
            case .message(let message): take(message)
            case .reconnected: lookSoon()
            case .look: if let end = try await look() { return end }
            }
            if isToItsEnd, let end, end.position <= sequence.position { return end.end }
            if sequence.isIncomplete, !wasIncomplete { lookSoon() }
        }
        throw CommandError("nothing more is heard of '\(program.id)'")
    }

    // MARK: From the node

    private mutating func take(_ message: Message) {
        guard let value = try? JSON(parsing: message.payload) else { return }
        for item in value.array ?? [value] {
            guard let (position, record) = try? JournalRecord.read(DocumentReader(item), of: program) else { continue }
            if case .state(let report) = record.content {
                if let end = CommandEnd(report) {
                    self.end = (end, position)
                } else if isToItsEnd, !report.state.isAlive {
                    lookSoon()
                }
            }
            give(sequence.take(Line(record, item), at: position))
        }
    }

    private func give(_ lines: [Line?]) {
        for case let line? in lines { show(line) }
    }

    // MARK: From the hub

    private mutating func lookSoon() {
        backoff.reset()
        lookLater()
    }

    private mutating func lookLater() {
        nextLook?.cancel()
        let pause = backoff.next()
        nextLook = Task { [continuation] in
            guard (try? await Task.sleep(for: pause)) != nil else { return }
            continuation.yield(.look)
        }
    }

    /// Asks how it is, and for all lines up to then.
    private mutating func look() async throws -> CommandEnd? {
        defer { lookLater() }
        do {
            let reply = isToItsEnd ? try await ask("commands", "show", ["id": .string(program.id.text)]) : .null
            var count: Int
            repeat { count = try await takeLines() } while count == Self.page
            if isAway { tell("the hub is back") }
            isAway = false
            return reply["command"].flatMap { CommandEnd($0) }
        } catch let error as Outage {
            if !isAway { tell("\(error.reason); waiting for it") }
            isAway = true
            return nil
        }
    }

    private mutating func takeLines() async throws -> Int {
        let reply = try await ask(
            "logs", "get",
            [
                "id": .string(program.id.text), "kind": .string(program.kind.rawValue), "last": .int(Int64(Self.page)),
                "after": ["origin": .int(max(1, sequence.position.origin)), "n": .int(sequence.position.number)],
            ])
        let lines = (reply["lines"]?.array ?? []).compactMap { item in
            (try? JournalRecord.read(DocumentReader(item), of: program)).map { ($0.position, Line($0.record, item)) }
        }
        // Where there are more, those up to the end are not all here.
        let end = lines.count < Self.page ? try? JournalPosition(DocumentReader(reply)) : nil
        give(sequence.take(onRecord: lines, upTo: end))
        return lines.count
    }

    private struct Outage: Error {
        let reason: String
    }

    /// - Throws: `Outage` where hub, broker or database are away, `CommandError` where the hub refuses.
    private func ask(_ service: String, _ method: String, _ parameters: JSONObject) async throws -> JSON {
        let reply: JSON
        do {
            reply = try await client.reply(to: service, method, parameters, timeout: .seconds(5))
        } catch let error as CommandError {
            throw Outage(reason: "\(error)")
        }
        let status = reply["status"]?.int ?? 500, reason = reply["error"]?.string ?? "the hub refused without a reason"
        if status >= 500 { throw Outage(reason: reason) }
        guard (200..<300).contains(status) else { throw CommandError(reason) }
        return reply
    }
}

extension ProgramFollowing.Line {
    /// Nil for a change of state.
    fileprivate init?(_ record: JournalRecord, _ json: JSON) {
        guard case .line(let stream, let text) = record.content else { return nil }
        self.init(stream: stream, text: text, json: json)
    }
}

extension Topics {
    fileprivate func output(of program: ProgramID) -> String {
        switch program.kind {
        case .driver: sensor(program.id.text, .log)
        case .algorithm: algorithm(program.id.text, .log)
        case .command: command(program.id.text, .log)
        }
    }

    fileprivate func changes(of program: ProgramID) -> String {
        switch program.kind {
        case .driver: sensor(program.id.text, .events)
        case .algorithm: algorithm(program.id.text, .events)
        case .command: command(program.id.text, .events)
        }
    }
}
