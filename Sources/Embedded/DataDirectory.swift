import Glibc

/// The folder that everything of an embedded hub lives under.
public struct DataDirectory: Sendable, Hashable {
    /// Absolute, without `/` at the end.
    public let path: String

    /// - Parameter path: a relative one is seen from the present folder.
    public init(_ path: String) {
        let isAbsolute = path.hasPrefix("/")
        let folder = isAbsolute ? [] : (realPath(".") ?? "/").split(separator: "/")
        var parts: [Substring] = []
        for part in folder + path.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        self.path = "/" + parts.joined(separator: "/")
    }

    /// What is used when nobody says otherwise: SENSORHUB_DATA, else /var/lib/sensorhub for root and sensorhub under
    /// XDG_DATA_HOME (~/.local/share) for everybody else.
    public static func standard() -> DataDirectory {
        standard(
            environment: environmentVariable, isRoot: geteuid() == 0, home: Account.current()?.home ?? "/")
    }

    static func standard(environment: (String) -> String?, isRoot: Bool, home: String) -> DataDirectory {
        func set(_ name: String) -> String? { environment(name).flatMap { $0.isEmpty ? nil : $0 } }
        if let path = set("SENSORHUB_DATA") { return DataDirectory(path) }
        if isRoot { return DataDirectory("/var/lib/sensorhub") }
        // The XDG base directory specification has a relative path ignored.
        if let path = set("XDG_DATA_HOME"), path.hasPrefix("/") { return DataDirectory("\(path)/sensorhub") }
        return DataDirectory("\(set("HOME") ?? home)/.local/share/sensorhub")
    }

    /// PostgreSQL's data directory.
    var postgres: String { "\(path)/postgres" }
    /// What a person may put there about the apps of devices: settings, and a folder of runtimes.
    var devices: String { "\(path)/devices.json" }
    var runtimes: String { "\(path)/runtimes" }
    /// The folder with PostgreSQL's socket.
    public var sockets: String { "\(path)/run" }
    /// The folder with the broker's socket, and nothing else: a program that is shown little of this machine is shown
    /// this.
    var brokerSockets: String { "\(path)/mqtt" }
    /// The broker's configuration, users, rights and persistence.
    var broker: String { "\(path)/broker" }
    /// What hub, agent, broker and database have to say.
    public var logs: String { "\(path)/log" }
    /// The agent's own folder.
    public var agent: String { "\(path)/agent" }
    /// Records of the running programs, by which the next start finds those that a crash has left.
    var records: String { "\(path)/programs" }

    var hubConfiguration: String { "\(path)/hub.json" }
    public var agentConfiguration: String { "\(path)/agent.json" }
    /// How the command line reaches the running hub; there only while it runs.
    public var connectionFile: String { "\(path)/connection.json" }
    var secrets: String { "\(path)/secrets.json" }
    /// Also the mark by which the folder is known as one of ours.
    var lock: String { "\(path)/sensorhub.lock" }
}
