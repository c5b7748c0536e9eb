/// What a person is told when a hub is up: every address and command that it takes to use it.
public struct Banner: Sendable {
    private let access: Stack.Access
    private let version: String
    private let command: String
    private let configurationFile: String?

    /// - Parameters:
    ///   - command: how the program was called, so that the person can call it so again.
    ///   - configurationFile: nil where none was found.
    public init(_ access: Stack.Access, version: String, command: String, configurationFile: String?) {
        self.access = access
        self.version = version
        self.command = command
        self.configurationFile = configurationFile
    }

    public var lines: [String] {
        let standard = DataDirectory.standard()
        let option = access.data == standard ? "" : " --data \(Self.shellQuoted(access.data.path))"
        let rows =
            access.brokers.enumerated().map { ($0.offset == 0 ? "broker" : "", "mqtt://\($0.element)") } + [
                ("", "\(access.socket)"),
                ("database", access.psql),
                ("data", access.data.path),
                ("logs", access.data.logs),
                ("settings", configurationFile ?? "no configuration file found, using defaults"),
                ("commands", "\(command) ps\(option)"),
                ("", "\(command) --help"),
            ]
        return ["sensorhub \(version) is up; Ctrl-C stops it"]
            + rows.map { "  \($0.0)\(String(repeating: " ", count: 10 - $0.0.count))\($0.1)" }
    }

    /// As a shell takes it for one word.
    static func shellQuoted(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { byte in
            let character = Character(Unicode.Scalar(byte))
            return byte < 128 && (character.isLetter || character.isNumber || "/._-+:@%".contains(character))
        }
        return isPlain && !text.isEmpty ? text : "'\(text.replacing("'", with: #"'\''"#))'"
    }
}
