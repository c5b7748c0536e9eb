public import SimdJSON

/// How programs of one type are run: a declaration, which anybody can add to; see docs/device-apps.md.
public struct Runtime: Sendable, Hashable {
    /// Something that a machine must have.
    public struct Need: Sendable, Hashable {
        /// What is missing where the check fails.
        public let name: String
        public let check: Check
        /// What a person is to do then.
        public let install: String

        public enum Check: Sendable, Hashable {
            /// Is found in `PATH`.
            case program(String)
            /// Ends with exit code 0.
            case command([String])
        }
    }

    /// A command that is run before the program is.
    public struct Step: Sendable, Hashable {
        /// Of the app; without it the step is left out.
        public let file: String?
        public let command: [String]
    }

    /// What a word of a command may stand for.
    public enum Placeholder: String, Sendable, CaseIterable {
        /// The folder with the app's files.
        case app = "{APP}"
        /// The file that is started.
        case entry = "{ENTRY}"
        /// The folder that is the program's own.
        case state = "{STATE}"
        /// The interpreter of a Python environment with the platform library and the app's requirements.
        case python = "{PYTHON}"
    }

    public let name: Identifier
    public let description: String
    /// The file that is started where nobody names another one.
    public let entry: String
    /// What an app must have besides.
    public let files: [String]
    /// The file that lists Python packages, one a line. An app need not have it.
    public let requirementsFile: String?
    public let needs: [Need]
    public let prepare: [Step]
    /// The program and its first arguments.
    public let start: [String]
    /// Whether its programs are to see little of their machine, where nobody says so of a program; nil where the node
    /// decides.
    public let isolation: Bool?

    /// True where programs run in a Python environment.
    public var usesPython: Bool {
        ([start] + prepare.map(\.command)).joined().contains { $0.contains(Placeholder.python.rawValue) }
    }

    /// Reads a declaration.
    public init(_ reader: DocumentReader) throws(ValidationError) {
        try reader.allowOnly([
            "name", "description", "entry", "files", "requirements", "needs", "prepare", "start", "isolation",
        ])
        name = try reader.required("name").identifier()
        description = try reader.optional("description")?.string() ?? ""
        entry = try Self.path(reader.required("entry"))
        var files: [String] = []
        for item in try reader.optional("files")?.items() ?? [] { files.append(try Self.path(item)) }
        self.files = files
        requirementsFile = try reader.optional("requirements").map(Self.path)
        var needs: [Need] = []
        for item in try reader.optional("needs")?.items() ?? [] { needs.append(try Need(item)) }
        self.needs = needs
        var prepare: [Step] = []
        for item in try reader.optional("prepare")?.items() ?? [] { prepare.append(try Step(item)) }
        self.prepare = prepare
        start = try Self.command(reader.required("start"))
        isolation = try reader.optional("isolation")?.bool()
        if requirementsFile != nil, !usesPython {
            throw reader.error("'requirements' are for a command with {PYTHON}, and there is none")
        }
    }

    public var json: JSON {
        var object: JSONObject = [
            "name": .string(name.text), "description": .string(description), "entry": .string(entry),
            "files": .array(files.map { .string($0) }), "needs": .array(needs.map(\.json)),
            "prepare": .array(prepare.map(\.json)), "start": .array(start.map { .string($0) }),
        ]
        if let requirementsFile { object["requirements"] = .string(requirementsFile) }
        if let isolation { object["isolation"] = .bool(isolation) }
        return .object(object)
    }

    /// `command` with what its placeholders stand for.
    public static func fill(_ command: [String], _ values: [Placeholder: String]) -> [String] {
        command.map { fillPlaceholders($0) { name in Placeholder(rawValue: "{\(name)}").flatMap { values[$0] } } }
    }

    fileprivate static func path(_ reader: DocumentReader) throws(ValidationError) -> String {
        let path = try reader.string()
        guard ArchivePath.isSafe(path) else { throw reader.error("'\(path.prefix(80))' is no path inside the app") }
        return path
    }

    fileprivate static func command(_ reader: DocumentReader) throws(ValidationError) -> [String] {
        var words: [String] = []
        for item in try reader.items() {
            let word = try item.string()
            try checkPlaceholders(in: word, item)
            words.append(word)
        }
        guard let first = words.first, !first.isEmpty else { throw reader.error("a command has at least one word") }
        return words
    }

    /// Braces may be the command's own; but a placeholder that is misspelt would reach it as it stands.
    private static func checkPlaceholders(in word: String, _ place: DocumentReader) throws(ValidationError) {
        let known = Placeholder.allCases.map(\.rawValue)
        for (index, character) in zip(word.indices, word) where character == "{" {
            // A variable of a shell.
            if index > word.startIndex, word[word.index(before: index)] == "$" { continue }
            guard let end = word[index...].firstIndex(of: "}") else { return }
            let name = String(word[index...end])
            let hint = known.contains(name) ? "" : didYouMean(name, among: known)
            guard hint.isEmpty else { throw place.error("'\(name)' is no placeholder\(hint)") }
        }
    }
}

extension Runtime.Need {
    fileprivate init(_ reader: DocumentReader) throws(ValidationError) {
        try reader.allowOnly(["program", "command", "name", "install"])
        install = try reader.required("install").nonEmptyString()
        switch (try reader.optional("program"), try reader.optional("command")) {
        case (let program?, nil):
            let word = try program.nonEmptyString()
            check = .program(word)
            name = try reader.optional("name")?.nonEmptyString() ?? word
        case (nil, let command?):
            check = .command(try Runtime.command(command))
            name = try reader.required("name").nonEmptyString()
        default: throw reader.error("has either a 'program' or a 'command'")
        }
    }

    fileprivate var json: JSON {
        var object: JSONObject = ["name": .string(name), "install": .string(install)]
        switch check {
        case .program(let program): object["program"] = .string(program)
        case .command(let command): object["command"] = .array(command.map { .string($0) })
        }
        return .object(object)
    }
}

extension Runtime.Step {
    fileprivate init(_ reader: DocumentReader) throws(ValidationError) {
        try reader.allowOnly(["file", "command"])
        file = try reader.optional("file").map(Runtime.path)
        command = try Runtime.command(reader.required("command"))
    }

    fileprivate var json: JSON {
        var object: JSONObject = ["command": .array(command.map { .string($0) })]
        if let file { object["file"] = .string(file) }
        return .object(object)
    }
}

/// `text` with `{NAME}` replaced by what `value` has for the name, in one pass: what is put in is not looked at again.
/// Names that it does not know stay.
public func fillPlaceholders(_ text: String, _ value: (Substring) -> String?) -> String {
    var result = ""
    var rest = text[...]
    while let open = rest.firstIndex(of: "{") {
        result += rest[..<open]
        rest = rest[open...]
        guard let close = rest.firstIndex(of: "}"), let filled = value(rest[rest.index(after: open)..<close]) else {
            result.append(rest.removeFirst())
            continue
        }
        result += filled
        rest = rest[rest.index(after: close)...]
    }
    return result + rest
}
