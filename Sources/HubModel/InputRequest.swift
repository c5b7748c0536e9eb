public import SimdJSON

/// What the hub asks of a node besides its plan: to write something to the standard input of one run of a program, and
/// of no later one.
public struct InputRequest: Sendable, Hashable {
    public let program: ProgramID
    public let run: Int64
    public let input: [UInt8]
    /// True where the input is to be closed then.
    public let isLast: Bool
    /// By which the node knows it when it comes again.
    public let name: String

    /// No request has more input.
    public static let maximumInputBytes = 64 << 10
    /// No such message is longer; a plan may be.
    public static let maximumBytes = 96 << 10

    public init(_ program: ProgramID, _ input: [UInt8], isLast: Bool, run: Int64, name: String) {
        self.program = program
        self.input = input
        self.isLast = isLast
        self.run = run
        self.name = name
    }

    public var json: JSON {
        [
            "kind": "input", "id": .string(program.id.text), "program": .string(program.kind.rawValue),
            "run": .int(run), "data": .string(Base64.encode(input)), "eof": .bool(isLast),
            "request": .string(name),
        ]
    }

    public init(_ reader: DocumentReader) throws(ValidationError) {
        program = try ProgramID(reader)
        run = try reader.required("run").int()
        input = try reader.required("data").input()
        isLast = try reader.required("eof").bool()
        name = try reader.required("request").requestName()
    }
}

extension DocumentReader {
    /// What a request to a node is known by.
    public func requestName() throws(ValidationError) -> String {
        let name = try nonEmptyString()
        guard name.utf8.count <= 200 else { throw error("is longer than 200 bytes") }
        return name
    }

    /// Input for a program, in base64.
    public func input() throws(ValidationError) -> [UInt8] {
        guard let bytes = Base64.decode(try string().utf8) else { throw error("expected base64") }
        guard bytes.count <= InputRequest.maximumInputBytes else {
            throw error("\(bytes.count) bytes are more than the \(InputRequest.maximumInputBytes) of one request")
        }
        return bytes
    }
}
