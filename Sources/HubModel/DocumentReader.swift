public import SimdJSON

/// Reads a value of a document that a person wrote, keeping the place for errors. Keys are found whatever the case of
/// their first letter.
public struct DocumentReader: Sendable {
    public let value: JSON
    public let path: String

    public init(_ value: JSON, path: String = "") {
        self.value = value
        self.path = path
    }

    public func error(_ reason: String) -> ValidationError {
        ValidationError(path: path, reason)
    }

    private func wrong(_ expected: String) -> ValidationError {
        error("expected \(expected), found \(value.kind)")
    }

    // MARK: Values

    public func string() throws(ValidationError) -> String {
        guard let text = value.string else { throw wrong("text") }
        guard !text.unicodeScalars.contains("\0") else { throw error("the character NUL is not allowed") }
        return text
    }

    public func nonEmptyString() throws(ValidationError) -> String {
        let text = try string()
        guard !text.isEmpty else { throw error("must not be empty") }
        return text
    }

    public func identifier() throws(ValidationError) -> Identifier {
        let text = try string()
        guard let identifier = Identifier(text) else {
            throw error("'\(text.prefix(80))' is no id: \(Identifier.rule)")
        }
        return identifier
    }

    public func int(_ range: ClosedRange<Int64> = .min ... .max) throws(ValidationError) -> Int64 {
        guard let number = value.int else { throw wrong("a whole number") }
        guard range.contains(number) else {
            throw error("must be from \(range.lowerBound) to \(range.upperBound), is \(number)")
        }
        return number
    }

    public func double() throws(ValidationError) -> Double {
        guard let number = value.double else { throw wrong("a number") }
        return number
    }

    public func bool() throws(ValidationError) -> Bool {
        guard let bool = value.bool else { throw wrong("true or false") }
        return bool
    }

    public func object() throws(ValidationError) -> JSONObject {
        guard let object = value.object else { throw wrong("an object") }
        return object
    }

    public func items() throws(ValidationError) -> [DocumentReader] {
        guard let array = value.array else { throw wrong("a list") }
        return array.enumerated().map { DocumentReader($1, path: "\(path)[\($0)]") }
    }

    /// The members of an object, each with its key as written.
    public func members() throws(ValidationError) -> [(key: String, value: DocumentReader)] {
        try object().map { ($0.key, DocumentReader($0.value, path: path(of: $0.key))) }
    }

    // MARK: Members

    /// The member under `key`, or nil when it is missing or null.
    public func optional(_ key: String) throws(ValidationError) -> DocumentReader? {
        let matches = try object().filter { Self.matches($0.key, key) }
        guard matches.count < 2 else {
            throw error("'\(matches[0].key)' and '\(matches[1].key)' say the same thing twice")
        }
        guard let match = matches.first, match.value != .null else { return nil }
        return DocumentReader(match.value, path: path(of: match.key))
    }

    /// The member under `key`.
    public func required(_ key: String) throws(ValidationError) -> DocumentReader {
        if let member = try optional(key) { return member }
        throw error("'\(key)' is missing")
    }

    /// Refuses a member that is none of `known`.
    public func allowOnly(_ known: [String]) throws(ValidationError) {
        for key in try object().keys where !known.contains(where: { Self.matches(key, $0) }) {
            throw error("unknown key '\(key.prefix(80))'\(didYouMean(key, among: known))")
        }
    }

    /// True where `written` is `key`, whatever the case of its first letter.
    public static func matches(_ written: String, _ key: String) -> Bool {
        written == key
            || (written.dropFirst() == key.dropFirst()
                && written.prefix(1).lowercased() == key.prefix(1).lowercased())
    }

    private func path(of key: String) -> String {
        let key = key.count > 80 ? "\(key.prefix(80))…" : key
        return path.isEmpty ? key : "\(path).\(key)"
    }
}
