import ArgumentParser
import SimdJSON
import Synchronization
import UnixSignals

struct TopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top", abstract: "Show what machines and programs take, again with each sample.",
        discussion: """
            Keys: q ends, c sorts by cpu, m by memory. Where the output is no terminal, tables follow one another; with \
            --json, one object a line. While the hub or the broker is away it says so, and goes on when it is back.
            """)
    @Option(help: "Sort by cpu or memory.") var sort = TopOrder.cpu
    @Option(help: ArgumentHelp("End after so many tables.", valueName: "number")) var count: Int?
    @Option(help: ArgumentHelp("Every so many seconds, not with each sample.", valueName: "seconds"))
    var interval: Double?
    @OptionGroup var options: HubOptions

    func validate() throws {
        if let count, count < 1 { throw ArgumentParser.ValidationError("--count must be at least 1") }
        if let interval, !(0.1...86_400).contains(interval) {
            throw ArgumentParser.ValidationError("--interval must be from 0.1 to 86400")
        }
    }

    func run() async throws {
        let client = try await options.connect()
        let terminal = Terminal()
        let isPicture = terminal.isInteractive && !options.json
        let wake = TopTriggers()
        let keys = isPicture ? KeyInput() : nil
        defer { keys?.restore() }
        keys?.read { wake.key($0) }
        let signals = isPicture ? await UnixSignalsSequence(trapping: .sigint, .sigterm, .sighup) : nil
        let tasks =
            sources(client, wake)
            + (signals.map { signals in
                [Task { for await _ in signals { wake.end() } }]
            } ?? [])
        defer { tasks.forEach { $0.cancel() } }

        var view = TopView(order: sort)
        var left = count
        var isAway = false
        wake.look()
        loop: for await trigger in wake.triggers {
            switch trigger {
            case .end, .key("q"), .key("Q"): break loop
            case .key(let key):
                guard let order = TopOrder(key: key) else { continue }
                view.order = order
            case .look:
                wake.looking()
                do {
                    try await view.take(
                        nodes: client.request("nodes", "list", timeout: .seconds(3)),
                        programs: client.request("programs", "list", timeout: .seconds(3)))
                    if isAway, !isPicture { note("the hub is back") }
                    isAway = false
                } catch let error as CommandError {
                    view.trouble = "\(error); waiting for it"
                    if !isAway, !isPicture { note(view.trouble!) }
                    isAway = true
                    // Not with every message that others publish meanwhile.
                    wake.look(after: .seconds(1))
                    if !isPicture { continue }
                }
            }
            if isPicture { terminal.draw(view.lines) } else { show(view) }
            if case .look = trigger, !isAway, let number = left {
                left = number - 1
                if left == 0 { break }
            }
        }
    }

    private func show(_ view: TopView) {
        if options.json { print(view.json.text()) } else { (view.lines + [""]).forEach { print($0) } }
        flushOutput()
    }

    /// What says that it is time to look again.
    private func sources(_ client: HubClient, _ wake: TopTriggers) -> [Task<Void, Never>] {
        func regularly(_ period: Duration) -> Task<Void, Never> {
            Task {
                while (try? await Task.sleep(for: period)) != nil { wake.look() }
            }
        }
        if let interval { return [regularly(.seconds(interval))] }
        let samples = client.follow(client.topics.node("+", .statistics))
        return [
            Task {
                for await _ in samples {
                    // Samples of many machines come in a row.
                    try? await Task.sleep(for: .milliseconds(100))
                    wake.look()
                }
            },
            // Where agents take no samples, or none runs.
            regularly(.seconds(30)),
        ]
    }
}

/// What `sensorhub top` waits for. Looks that are due do not pile up while one takes its time.
private final class TopTriggers: Sendable {
    enum Trigger: Sendable {
        case look, end
        case key(Character)
    }

    let triggers: AsyncStream<Trigger>
    private let continuation: AsyncStream<Trigger>.Continuation
    private let isLookWaiting = Mutex(false)

    init() {
        (triggers, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(64))
    }

    func key(_ key: Character) { continuation.yield(.key(key)) }
    func end() { continuation.yield(.end) }

    func look() {
        let isFirst = isLookWaiting.withLock { isWaiting in
            defer { isWaiting = true }
            return !isWaiting
        }
        if isFirst { continuation.yield(.look) }
    }

    func look(after pause: Duration) {
        Task {
            try? await Task.sleep(for: pause)
            look()
        }
    }

    /// The look has begun: what is due from now on is another one.
    func looking() { isLookWaiting.withLock { $0 = false } }
}
