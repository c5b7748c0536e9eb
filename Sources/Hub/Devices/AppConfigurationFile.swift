import HubModel
import SimdJSON

/// A value in one of the files of an app, with its place for errors.
struct AppConfigurationFile {
    let value: YAML
    let path: String

    /// - Parameter name: of the file.
    init(parsing bytes: [UInt8], name: String) throws(ValidationError) {
        do {
            self.init(try YAML(parsing: bytes), path: name)
        } catch {
            throw ValidationError(path: error.path.isEmpty ? name : "\(name): \(error.path)", error.reason)
        }
    }

    private init(_ value: YAML, path: String) {
        self.value = value
        self.path = path
    }

    func error(_ reason: String) -> ValidationError { ValidationError(path: path, reason) }

    private func wrong(_ expected: String) -> ValidationError {
        let found =
            switch value {
            case .mapping: "a mapping"
            case .sequence: "a list"
            case .plain where value.isNull: "nothing"
            case .plain(let text), .quoted(let text): "'\(text.prefix(80))'"
            }
        return error("expected \(expected), found \(found)")
    }

    // MARK: Members

    func members() throws(ValidationError) -> [(key: String, value: AppConfigurationFile)] {
        switch value {
        case .mapping(let members):
            return members.map { ($0.key, AppConfigurationFile($0.value, path: "\(path): \($0.key)")) }
        case .plain where value.isNull: return []
        default: throw wrong("'key: value' lines")
        }
    }

    /// Nil where it is missing or says nothing.
    func optional(_ key: String) throws(ValidationError) -> AppConfigurationFile? {
        try members().first { $0.key == key && !$0.value.value.isNull }?.value
    }

    func required(_ key: String) throws(ValidationError) -> AppConfigurationFile {
        guard let member = try optional(key) else { throw error("'\(key)' is missing") }
        return member
    }

    func allowOnly(_ known: [String]) throws(ValidationError) {
        for member in try members() where !known.contains(member.key) {
            throw error("unknown key '\(member.key.prefix(80))'\(didYouMean(member.key, among: known))")
        }
    }

    func items() throws(ValidationError) -> [AppConfigurationFile] {
        guard case .sequence(let items) = value else { throw wrong("a list") }
        return items.enumerated().map { AppConfigurationFile($1, path: "\(path)[\($0)]") }
    }

    // MARK: Scalars

    func text() throws(ValidationError) -> String {
        guard let text = value.text else { throw wrong("text") }
        return text
    }

    /// True and false as YAML has them, or 1 and 0.
    func bool() throws(ValidationError) -> Bool {
        switch value.text {
        case "1"?: return true
        case "0"?: return false
        case let text?:
            if let bool = YAML.bool(text) { return bool }
            throw wrong("true or false")
        default: throw wrong("true or false")
        }
    }

    func int(_ range: ClosedRange<Int64>) throws(ValidationError) -> Int64 {
        guard let number = value.text.flatMap({ Int64($0) }) else { throw wrong("a whole number") }
        guard range.contains(number) else {
            throw error("must be from \(range.lowerBound) to \(range.upperBound), is \(number)")
        }
        return number
    }

    func double() throws(ValidationError) -> Double {
        guard let number = value.text.flatMap({ Double($0) }), number.isFinite else { throw wrong("a number") }
        return number
    }
}
