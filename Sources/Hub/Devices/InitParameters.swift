import HubModel
import SimdJSON

/// What an app wants to be told when it is started: `init.conf`.
struct InitParameters: Hashable {
    enum Kind: String, CaseIterable {
        case string, float, int, array
    }

    struct Parameter: Hashable {
        let name: String
        /// A word for people on what is to be put in.
        let placeholder: String?
        let kind: Kind
        /// Nil where one must be given at the start.
        let value: JSON?
    }

    static let fileName = "init.conf"
    private static let maximumCount = 200
    /// What a process can have in one variable of its environment is 128 KiB.
    private static let maximumBytes = 64 << 10

    let parameters: [Parameter]

    /// Reads `params: [{name, placeholder, type, value}]`.
    init(_ file: AppConfigurationFile) throws(ValidationError) {
        try file.allowOnly(["params"])
        var parameters: [Parameter] = []
        for item in try file.optional("params")?.items() ?? [] {
            try item.allowOnly(["name", "placeholder", "type", "value"])
            let nameItem = try item.required("name")
            let name = try nameItem.text()
            guard !name.isEmpty, name.utf8.count <= 128 else { throw nameItem.error("has 1 to 128 bytes") }
            guard !parameters.contains(where: { $0.name == name }) else {
                throw item.error("'\(name)' stands there twice")
            }
            let word = try item.required("type")
            guard let kind = Kind(rawValue: try word.text()) else {
                let known = Kind.allCases.map(\.rawValue)
                throw word.error(
                    "'\(try word.text().prefix(80))' is none of \(known.joined(separator: ", "))"
                        + didYouMean(try word.text(), among: known))
            }
            parameters.append(
                Parameter(
                    name: name, placeholder: try item.optional("placeholder")?.text(), kind: kind,
                    value: try item.optional("value").map { (value) throws(ValidationError) in
                        try Self.standard(value, kind)
                    }))
        }
        guard parameters.count <= Self.maximumCount else {
            throw file.error("more than \(Self.maximumCount) parameters")
        }
        self.parameters = parameters
    }

    private static func standard(_ value: AppConfigurationFile, _ kind: Kind) throws(ValidationError) -> JSON {
        switch kind {
        case .string: return .string(try value.text())
        case .float: return .double(try value.double())
        case .int: return .int(try value.int(.min ... .max))
        case .array:
            _ = try value.items()
            return value.value.json
        }
    }

    /// The values for one start: those that are given, and the default ones of the others.
    ///
    /// - Throws: `ValidationError` for one that there is not, of another type, or missing.
    func values(_ given: JSONObject, path: String) throws(ValidationError) -> JSONObject {
        for member in given where !parameters.contains(where: { $0.name == member.key }) {
            let names = parameters.map(\.name)
            throw ValidationError(
                path: path,
                names.isEmpty
                    ? "the app takes no parameters: it has no \(Self.fileName)"
                    : "'\(member.key.prefix(80))' is no parameter of \(Self.fileName)\(didYouMean(member.key, among: names))"
            )
        }
        var values: JSONObject = [:]
        for parameter in parameters {
            if let value = given[parameter.name], value != .null {
                guard let taken = parameter.kind.take(value) else {
                    throw ValidationError(
                        path: "\(path).\(parameter.name)",
                        "expected \(parameter.kind.expectation), found \(value.kind)")
                }
                values[parameter.name] = taken
            } else if let value = parameter.value {
                values[parameter.name] = value
            } else {
                throw ValidationError(
                    path: path,
                    "'\(parameter.name)' (\(parameter.kind.rawValue)) is missing, and \(Self.fileName) has no value for it: "
                        + #"give app_args as {"\#(parameter.name)": …}"#)
            }
        }
        guard JSON.object(values).bytes().count <= Self.maximumBytes else {
            throw ValidationError(path: path, "the parameters are longer than \(Self.maximumBytes >> 10) KiB")
        }
        return values
    }

    var json: JSON {
        .array(
            parameters.map { parameter in
                var object: JSONObject = ["name": .string(parameter.name), "type": .string(parameter.kind.rawValue)]
                if let placeholder = parameter.placeholder { object["placeholder"] = .string(placeholder) }
                if let value = parameter.value { object["value"] = value }
                return .object(object)
            })
    }

    /// Reads `json` back.
    init(json: JSON) {
        parameters = (json.array ?? []).compactMap { item in
            guard let name = item["name"]?.string, let kind = item["type"]?.string.flatMap(Kind.init(rawValue:)) else {
                return nil
            }
            return Parameter(name: name, placeholder: item["placeholder"]?.string, kind: kind, value: item["value"])
        }
    }
}

extension InitParameters.Kind {
    fileprivate var expectation: String {
        switch self {
        case .string: "text"
        case .float: "a number"
        case .int: "a whole number"
        case .array: "a list"
        }
    }

    fileprivate func take(_ value: JSON) -> JSON? {
        switch self {
        case .string: value.string.map { .string($0) }
        case .float: value.double.map { .double($0) }
        case .int: value.int.map { .int($0) }
        case .array: value.array.map { .array($0) }
        }
    }
}
