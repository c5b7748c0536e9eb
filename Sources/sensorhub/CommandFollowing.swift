import HubModel
import MQTT
import SimdJSON

/// How a command ended.
struct CommandEnd {
    let state: ProgramState
    let reason: String
    let exitCode: Int32?
    let signal: Int32?

    init?(_ report: ProgramReport) {
        // How it ended may be known to the hub only.
        guard !report.state.isAlive, report.exitCode != nil || report.signal != nil || report.state == .fatal else {
            return nil
        }
        (state, reason, exitCode, signal) = (report.state, report.reason, report.exitCode, report.signal)
    }

    /// Of the hub's reply to `commands/show`.
    init?(_ command: JSON) {
        guard command["ended_at"]?.int != nil else { return nil }
        state = ProgramState(rawValue: command.plain("state")) ?? .unknown
        reason = command.plain("reason")
        exitCode = command["exit_code"]?.int.map { Int32(clamping: $0) }
        signal = command["signal"]?.int.map { Int32(clamping: $0) }
    }

    /// As a shell has it.
    func exitCode(of program: String) -> Int32 {
        if let exitCode { return exitCode }
        if let signal { return 128 + signal }
        return state == .fatal ? LaunchFailure.exitCode(reason, of: program) : 1
    }
}

/// Follows a command to its end: its node tells lines as they come, and the hub those that were not heard, after an
/// outage for example. None is missing and none comes twice.
struct CommandFollowing {
    private enum Event: Sendable {
        case message(Message)
        case reconnected
        case look
    }

    private let program: ProgramID
    private let client: HubClient
    private let show: (JournalRecord.Stream, String) -> Void
    private let tell: (String) -> Void
    private let events: AsyncStream<Event>
    private let continuation: AsyncStream<Event>.Continuation

    private var sequence = RecordSequence<JournalRecord>()
    /// The end, and where in the journal it stands.
    private var end: (end: CommandEnd, position: JournalPosition)?
    private var backoff = Backoff(first: .milliseconds(200), cap: .seconds(5))
    private var nextLook: Task<Void, Never>?
    private var isAway = false

    /// Lines that the hub is asked for at a time.
    private static let page = 1_000

    /// - Parameters:
    ///   - show: called with each line.
    ///   - tell: called with what a person should know, about outages.
    init(
        _ program: ProgramID, _ client: HubClient, show: @escaping (JournalRecord.Stream, String) -> Void,
        tell: @escaping (String) -> Void
    ) {
        self.program = program
        self.client = client
        self.show = show
        self.tell = tell
        (events, continuation) = AsyncStream.makeStream()
        client.onReconnect { [continuation] in continuation.yield(.reconnected) }
    }

    /// Returns at the command's end.
    ///
    /// - Throws: `CommandError` where the hub does not know it any more.
    mutating func run() async throws -> CommandEnd {
        let messages = client.follow(
            client.topics.command(program.id.text, .log),
            client.topics.command(program.id.text, .events))
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
            if let end, end.position <= sequence.position { return end.end }
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
                } else if !report.state.isAlive {
                    lookSoon()
                }
            }
            give(sequence.take(record, at: position))
        }
    }

    private func give(_ records: [JournalRecord]) {
        for record in records { if case .line(let stream, let text) = record.content { show(stream, text) } }
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
            let reply = try await ask("commands", "show", ["id": .string(program.id.text)])
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
        let lines = (reply["lines"]?.array ?? []).compactMap {
            try? JournalRecord.read(DocumentReader($0), of: program)
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
