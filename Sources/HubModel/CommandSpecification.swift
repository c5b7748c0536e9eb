import SimdJSON

/// A command that a node is to run once, as somebody asked for it.
public struct CommandSpecification: Sendable, Hashable {
    /// The program, as a path or a name that is looked up on the node, and what it is given.
    public let arguments: [String]
    /// Variables besides those that every command has.
    public let environment: [String: String]
    /// True where its input is what is sent to it, until that is closed; else it has none.
    public let hasInput: Bool

    private static let maximumArguments: Int = 256
    private static let maximumBytes = 64 << 10

    public init(arguments: [String], environment: [String: String] = [:], hasInput: Bool = false) {
        self.arguments = arguments
        self.environment = environment
        self.hasInput = hasInput
    }

    /// What a command is called where nobody says: the file name of its program, as far as an id may have it.
    public static func name(ofProgram program: String) -> String {
        let file = program.split(separator: "/").last ?? ""
        let name = String(file.map { Identifier(String($0)) == nil ? "-" : $0 }.prefix(44))
        return name.isEmpty ? "command" : name
    }

    /// How long its words and variables are together.
    public var byteCount: Int { Self.byteCount(arguments, environment) }

    private static func byteCount(_ arguments: [String], _ environment: [String: String]) -> Int {
        arguments.reduce(0) { $0 + $1.utf8.count }
            + environment.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count }
    }

    /// The members `command`, `environment` and `input` of a plan's entry.
    var members: JSONObject {
        [
            "command": .array(arguments.map { .string($0) }),
            "environment": .object(
                JSONObject(environment.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })),
            "input": .string(hasInput ? "pipe" : "none"),
        ]
    }

    /// Reads `command` and `environment` of a request or plan.
    public init(_ reader: DocumentReader, hasInput: Bool) throws(ValidationError) {
        let list = try reader.required("command")
        var arguments: [String] = []
        for item in try list.items() { arguments.append(try item.string()) }
        guard arguments.first?.isEmpty == false else { throw list.error("must begin with the program to run") }
        var environment: [String: String] = [:]
        for variable in try reader.optional("environment")?.members() ?? [] {
            guard !variable.key.isEmpty, !variable.key.contains("="), !variable.key.unicodeScalars.contains("\0") else {
                throw variable.value.error("'\(variable.key.prefix(80))' is no name of a variable")
            }
            environment[variable.key] = try variable.value.string()
        }
        guard arguments.count <= Self.maximumArguments, environment.count <= Self.maximumArguments,
            Self.byteCount(arguments, environment) <= Self.maximumBytes
        else {
            throw list.error(
                "a command has at most \(Self.maximumArguments) words, as many variables, and \(Self.maximumBytes) bytes"
            )
        }
        self.init(arguments: arguments, environment: environment, hasInput: hasInput)
    }

    /// Reads `members` back.
    init(_ reader: DocumentReader) throws(ValidationError) {
        let input = try reader.required("input")
        switch try input.string() {
        case "pipe": try self.init(reader, hasInput: true)
        case "none": try self.init(reader, hasInput: false)
        default: throw input.error("is neither 'pipe' nor 'none'")
        }
    }
}
