import CYAML
import HubModel
import SimdJSON

/// What a configuration file of an app says: one YAML document, without anchors and aliases.
indirect enum YAML: Hashable {
    case plain(String)
    /// In quotes, or a block after `|` or `>`: text, whatever it looks like.
    case quoted(String)
    case sequence([YAML])
    case mapping([Member])

    struct Member: Hashable {
        let key: String
        let value: YAML
    }

    /// No file of an app is larger.
    static let maximumBytes = 64 << 10
    static let maximumDepth = 16

    /// - Throws: `ValidationError` whose path is the line.
    init(parsing bytes: [UInt8]) throws(ValidationError) {
        guard bytes.count <= Self.maximumBytes else {
            throw ValidationError("larger than \(Self.maximumBytes >> 10) KiB")
        }
        self = try bytes.withUnsafeBufferPointer { (input) throws(ValidationError) in
            // libyaml takes no null pointer, which an empty array may have.
            guard let start = input.baseAddress, !input.isEmpty else { return .mapping([]) }
            // The parser must not move: it points at itself.
            let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
            defer { parser.deallocate() }
            guard yaml_parser_initialize(parser) == 1 else { throw ValidationError("out of memory") }
            defer { yaml_parser_delete(parser) }
            // Else a byte order mark would have it read UTF-16.
            yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
            yaml_parser_set_input_string(parser, start, input.count)
            return try YAMLReader(parser: parser, input: input).document()
        }
    }

    /// Nothing, `~` or `null`.
    var isNull: Bool {
        if case .plain(let text) = self { ["", "~", "null", "Null", "NULL"].contains(text) } else { false }
    }

    /// What a scalar says, as it is written.
    var text: String? {
        switch self {
        case .plain(let text), .quoted(let text): text
        default: nil
        }
    }

    /// The value with plain scalars read as what they look like.
    var json: JSON {
        switch self {
        case .plain where isNull: .null
        case .plain(let text):
            if let bool = Self.bool(text) {
                .bool(bool)
            } else if let int = Int64(text) {
                .int(int)
            } else if text.allSatisfy({ "0123456789+-.eE".contains($0) }), let double = Double(text), double.isFinite {
                .double(double)
            } else {
                .string(text)
            }
        case .quoted(let text): .string(text)
        case .sequence(let items): .array(items.map(\.json))
        case .mapping(let members): .object(JSONObject(members.map { ($0.key, $0.value.json) }))
        }
    }

    static func bool(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true", "yes", "on": true
        case "false", "no", "off": false
        default: nil
        }
    }
}
