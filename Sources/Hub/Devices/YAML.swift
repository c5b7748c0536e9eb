import HubModel
import SimdJSON

/// The part of YAML that configuration files of apps use: mappings and sequences by indentation or in brackets, plain
/// and quoted scalars, block scalars, comments. Anchors, aliases, tags and several documents are refused.
indirect enum YAML: Hashable {
    case plain(String)
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
    init(parsing text: String) throws(ValidationError) {
        guard text.utf8.count <= Self.maximumBytes else {
            throw ValidationError("larger than \(Self.maximumBytes >> 10) KiB")
        }
        var parser = try YAMLBlocks(text)
        self = try parser.document()
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
