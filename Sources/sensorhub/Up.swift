import ArgumentParser
import Embedded
import Glibc
import Hub
import MQTT
import Synchronization
import UnixSignals

struct Up: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up", abstract: "Start a hub with a broker and a database of its own, all under one folder.",
        discussion: """
            Stays in the foreground; Ctrl-C stops everything in order, a second one in haste. What is in the folder is there \
            again at the next start. The file may set 'data' and 'listen', as may SENSORHUB_DATA and SENSORHUB_LISTEN.
            """)

    @Option(
        help: ArgumentHelp(
            "The folder for everything (default: /var/lib/sensorhub for root, else ~/.local/share/sensorhub).",
            valueName: "dir"))
    var data: String?
    @Option(
        help: ArgumentHelp(
            "Let devices reach the broker here; may be repeated. 0.0.0.0:1883 is all of the machine's IPv4 addresses.",
            valueName: "address:port"))
    var listen: [String] = []
    @Option(
        help: ArgumentHelp(
            "A JSON file (default: ~/.config/sensorhub/sensorhub.json, else /etc/sensorhub/sensorhub.json).",
            valueName: "file"))
    var config: String?
    @Flag(help: "Run two example apps and show what they do.")
    var demo = false

    func run() async throws {
        // A reader of our output that goes away must not take the hub with it.
        signal(SIGPIPE, SIG_IGN)
        let file = config ?? UpSettings.standardFile()
        let settings = try UpSettings(file: file, data: data, listen: listen)
        let terminal = Terminal()
        let stack = Stack(
            data: settings.data, listeners: settings.listeners, installation: try Installation.find(),
            console: terminal.console)

        let signals = await UnixSignalsSequence(trapping: notIgnored([.sigint, .sigterm, .sighup]))
        let work = Task { try await serve(stack, file: file, on: terminal) }
        let interruptions = Interruptions()
        let listening = Task {
            for await _ in signals {
                switch interruptions.count() {
                case 1:
                    terminal.show("stopping …")
                    work.cancel()
                case 2, 3: await stack.hasten()
                default:
                    terminal.show("given up; the next start ends what is left")
                    _exit(1)
                }
            }
        }
        let outcome = await work.result
        await stack.stop()
        listening.cancel()
        // What fails because it was interrupted is no failure.
        if case .failure(let error) = outcome, !interruptions.happened { throw CommandError("\(error)") }
    }

    /// Returns never, but throws when it is cancelled or something fails.
    private func serve(_ stack: Stack, file: String?, on terminal: Terminal) async throws {
        let access = try await stack.start()
        let called = CommandLine.arguments[0]
        let banner = Banner(
            access, version: sensorhubVersion, command: called.contains("/") ? called : "sensorhub",
            configurationFile: file)
        banner.lines.forEach { terminal.show($0) }
        if demo { try await Demo(data: access.data, installation: Installation.find(), terminal: terminal).run() }
        while true { try await Task.sleep(for: .seconds(3_600)) }
    }
}

/// Counts the signals that ask us to stop.
private final class Interruptions: Sendable {
    private let number = Mutex(0)

    /// One more; returns how many there are now.
    func count() -> Int {
        number.withLock { number in
            number += 1
            return number
        }
    }

    var happened: Bool { number.withLock { $0 > 0 } }
}
