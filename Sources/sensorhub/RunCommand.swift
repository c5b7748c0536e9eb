import ArgumentParser
import Embedded
import Glibc
import HubModel
import MQTT
import SimdJSON

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a program on a node, under a watch of its own, in the foreground.",
        usage: "sensorhub run [--node <node>] [--name <name>] [--env <NAME=text>] … [--tty] [--detach] -- <command> …",
        discussion: """
            Its output comes here, line by line; input and signals from here go to it. The exit code is the program's; 128 \
            and the number of the signal that ended it; 127 where there is no such program, 126 where it cannot be \
            started. It goes on where this command, the hub or the broker are gone.

            Such as sensorhub run --node pi-kitchen -- sh -c 'ls | wc -l'
            """)
    @Option(help: "Where; else on this machine, or on the only node that takes commands.") var node: String?
    @Option(help: "What its id begins with; else the program's file name.") var name: String?
    @Option(
        name: .customLong("env"), help: ArgumentHelp("A variable; may be given more than once.", valueName: "NAME=text")
    )
    var environment: [String] = []
    @Flag(help: "Give it this terminal; the node has to be this machine.") var tty = false
    @Flag(help: "Print its id and return at once.") var detach = false
    @OptionGroup var options: HubOptions
    @Argument(parsing: .postTerminator, help: "After --: the program, and what it is given.") var command: [String]

    func validate() throws {
        if command.first?.isEmpty != false {
            throw ArgumentParser.ValidationError("say what is to be run, after --: sensorhub run -- ls -l")
        }
        if tty, detach { throw ArgumentParser.ValidationError("--tty and --detach exclude each other") }
        if options.json, !detach { throw ArgumentParser.ValidationError("--json is for --detach") }
        _ = try variables()
    }

    private func variables() throws -> JSONObject {
        JSONObject(
            try environment.map { text in
                guard let sign = text.firstIndex(of: "="), sign != text.startIndex else {
                    throw ArgumentParser.ValidationError("--env '\(text)': expected NAME=text")
                }
                return (String(text[..<sign]), .string(String(text[text.index(after: sign)...])))
            })
    }

    func run() async throws {
        let client = try await options.connect()
        let node = try await chosenNode(client)
        let terminal = tty ? try SharedTerminal() : nil
        defer { terminal?.restore() }
        var variables = try variables()
        var words = command
        if let terminal {
            words = terminal.relayed(command, by: try Installation.find())
            if variables["TERM"] == nil, let kind = getenv("TERM") {
                variables["TERM"] = .string(String(cString: kind))
            }
        }
        var parameters: JSONObject = [
            "node": .string(node), "command": .array(words.map { .string($0) }), "environment": .object(variables),
            "input": .bool(!detach && !tty),
        ]
        if let name = name ?? (tty ? CommandSpecification.name(ofProgram: command[0]) : nil) {
            parameters["name"] = .string(name)
        }
        let reply = try await client.reply(to: "commands", "run", parameters, timeout: .seconds(30))
        if detach { return try options.show(reply) { print($0.plain("id")) } }
        try options.show(reply) { _ in }
        guard let id = reply["id"]?.string.flatMap({ Identifier($0) }) else {
            throw CommandError("the hub did not say the command's id")
        }
        let code = try await follow(ProgramID(.command, id), on: node, client, terminal)
        if code != 0 { throw ExitCode(code) }
    }

    private func chosenNode(_ client: HubClient) async throws -> String {
        if let node { return node }
        let nodes = try await client.request("nodes", "list")["nodes"]?.array ?? []
        return try NodeChoice(nodes).choose(here: NodeChoice.here(options.directory))
    }

    /// - Returns: the exit code.
    private func follow(
        _ program: ProgramID, on node: String, _ client: HubClient, _ terminal: SharedTerminal?
    ) async throws -> Int32 {
        signal(SIGPIPE, SIG_IGN)
        let steering = CommandSteering(program, client)
        let passing = await PassedSignals.pass(
            to: steering, program,
            isOurs: { signal in
                if signal == .sigwinch { terminal?.resize() }
                if signal == .sighup { terminal?.leaveIfGone() }
                return signal == .sigwinch
            }, leave: { terminal?.restore() })
        let sending =
            terminal == nil
            ? Task { do { try await steering.sendInput() } catch let error as CommandError { note("\(error)") } } : nil
        defer {
            passing.cancel()
            sending?.cancel()
        }
        terminal?.start()
        let output = PassedOutput { Task { try await steering.send(Signal(number: SIGPIPE)!) } }
        // With a terminal, lines are what could not be shown there.
        var lines: [String] = []
        var following = ProgramFollowing(
            program, client, isToItsEnd: true,
            show: { line in
                if terminal == nil {
                    output.write(line.text, to: line.stream)
                } else if lines.count < 10 {
                    lines.append(line.text)
                }
            }, tell: { if terminal?.isInUse != true { note($0) } })
        let end = try await following.run()
        await terminal?.end()
        if terminal?.wasConnected == false {
            note("no terminal: is node '\(node)' another machine than this one? --tty is for programs on this one")
            for line in lines { note(line) }
        }
        if end.state == .stopped || end.exitCode == nil && end.signal == nil { note("\(program.id): \(end.reason)") }
        return end.exitCode(of: command[0])
    }
}
