public import SimdJSON

/// What a node says of a request for a signal or input: that it has it, or why it cannot take it.
public struct RequestHeard: Sendable, Hashable {
    public let name: String
    /// Nil where it has been taken.
    public let error: String?

    public static let kind = "heard"

    public init(_ name: String, error: String? = nil) {
        self.name = name
        self.error = error
    }

    public var json: JSON {
        var object: JSONObject = ["kind": .string(Self.kind), "request": .string(name)]
        if let error { object["error"] = .string(error) }
        return .object(object)
    }

    public init(_ reader: DocumentReader) throws(ValidationError) {
        name = try reader.required("request").requestName()
        error = try reader.optional("error").map { reader throws(ValidationError) in
            String(try reader.string().prefix(400))
        }
    }
}
