import ArgumentParser
import Embedded
import SimdJSON

/// What every command that talks to a running hub takes.
struct HubOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "The running hub's data folder; else what SENSORHUB_DATA says, else the default folder.", valueName: "dir"))
    var data: String?

    @Flag(name: .long, help: "Print JSON instead of text.")
    var json = false

    var directory: DataDirectory { data.map { DataDirectory($0) } ?? .standard() }

    func connect() async throws -> HubClient {
        try await HubClient(ConnectionFile(data: directory))
    }

    /// Prints a reply as JSON, or lets `text` print it for people.
    ///
    /// - Throws: `ExitCode.failure` for a refusal that has been printed as JSON, `CommandError` for one that has not.
    func show(_ reply: JSON, text: (JSON) throws -> Void) throws {
        let isRefused = !(200..<300).contains(reply["status"]?.int ?? 0)
        if json {
            print(reply.text(indented: true))
            if isRefused { throw ExitCode.failure }
        } else if isRefused {
            throw CommandError(reply["error"]?.string ?? "the hub refused without a reason")
        } else {
            try text(reply)
        }
    }
}
