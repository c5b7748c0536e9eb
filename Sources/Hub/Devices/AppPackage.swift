import Archive
import HubModel
import SimdJSON

/// What an archive for a device says of its app.
struct AppPackage {
    let type: Identifier
    /// `app.info`: name, version, type, description, tags, and whatever else it says.
    let info: JSONObject
    let parameters: InitParameters
    let rules: ExecutionRules
    let requirements: [String]
    /// The files of the app's page, below `ui/`.
    let page: [String]

    static let infoName = "app.info"
    static let pageFolder = "ui/"
    private static let maximumRequirements = 500

    /// Looks through an archive.
    ///
    /// - Parameters:
    ///   - type: what the request says; nil leaves it to `app.info`.
    ///   - runtimes: by type.
    /// - Throws: `Refusal` with the file, the field and the reason.
    init(_ bytes: [UInt8], type: Identifier?, runtimes: [Identifier: Runtime]) throws {
        let names = [Self.infoName, InitParameters.fileName, ExecutionRules.fileName]
        let keep = Set(names + runtimes.values.compactMap(\.requirementsFile))
        let files: (paths: [String], contents: [String: [UInt8]])
        do {
            files = try Archive(bytes).read(keeping: keep)
        } catch {
            throw Refusal(.badRequest, "the archive cannot be taken: \(error)")
        }
        func file(_ name: String) throws(ValidationError) -> AppConfigurationFile? {
            try files.contents[name].map { (content) throws(ValidationError) in
                try AppConfigurationFile(parsing: content, name: name)
            }
        }
        info = try Self.info(try file(Self.infoName))
        self.type = try Self.type(asked: type, info: info, runtimes: runtimes)
        let runtime = runtimes[self.type]!
        for name in [runtime.entry] + runtime.files where !files.paths.contains(name) {
            let inside = files.paths.first { $0.hasSuffix("/\(name)") }
            throw Refusal(
                .badRequest,
                "an app of type '\(self.type)' needs the file '\(name)' at the top level of its archive"
                    + (inside.map { ": it is at '\($0)'; pack the files, not the folder they are in" }
                        ?? didYouMean(name, among: files.paths)))
        }
        parameters = try file(InitParameters.fileName).map { try InitParameters($0) } ?? InitParameters(json: [])
        rules = try file(ExecutionRules.fileName).map { try ExecutionRules($0) } ?? ExecutionRules()
        if let name = runtime.requirementsFile, let content = files.contents[name] {
            guard content.count <= YAML.maximumBytes, let text = String(validating: content, as: UTF8.self) else {
                throw Refusal(.badRequest, "\(name): is no text, or larger than \(YAML.maximumBytes >> 10) KiB")
            }
            requirements = try Requirement.file(text, name: name)
            guard requirements.count <= Self.maximumRequirements else {
                throw Refusal(.badRequest, "\(name): more than \(Self.maximumRequirements) packages")
            }
        } else {
            requirements = []
        }
        page = files.paths.filter { $0.hasPrefix(Self.pageFolder) }
    }

    /// Keys that are not known are kept: they are for people.
    private static func info(_ file: AppConfigurationFile?) throws(ValidationError) -> JSONObject {
        var info: JSONObject = [:]
        for (key, value) in try file?.members() ?? [] where !value.value.isNull {
            switch key {
            case "name", "version", "type", "description": info[key] = .string(try value.text())
            case "tags":
                var tags: [JSON] = []
                for tag in try value.items() { tags.append(.string(try tag.text())) }
                info[key] = .array(tags)
            default: info[key] = value.value.json
            }
        }
        return info
    }

    private static func type(
        asked: Identifier?, info: JSONObject, runtimes: [Identifier: Runtime]
    ) throws -> Identifier {
        let known = runtimes.keys.map(\.text).sorted()
        let told = info["type"]?.string
        guard let word = asked?.text ?? told else {
            throw Refusal(
                .badRequest, "app_type is missing, and \(infoName) has no type: one of \(known.joined(separator: ", "))"
            )
        }
        guard let type = Identifier(word), runtimes[type] != nil else {
            let place = asked == nil ? "\(infoName): type" : "app_type"
            throw Refusal(
                .badRequest,
                "\(place): '\(word.prefix(80))' is no type of app: one of \(known.joined(separator: ", "))"
                    + didYouMean(word, among: known))
        }
        if let told, told != word {
            throw Refusal(.badRequest, "\(infoName): type: is '\(told.prefix(80))', but app_type '\(word)'")
        }
        return type
    }

    var json: JSON {
        [
            "type": .string(type.text), "info": .object(info), "init_params": parameters.json,
            "scheduling": rules.json, "requirements": .array(requirements.map { .string($0) }),
            "page": .array(page.map { .string($0) }),
        ]
    }

    /// Reads `json` back.
    init(json: DocumentReader) throws(ValidationError) {
        type = try json.required("type").identifier()
        info = try json.required("info").object()
        parameters = InitParameters(json: try json.required("init_params").value)
        rules = try ExecutionRules(json: try json.required("scheduling"))
        requirements = (try json.required("requirements").value.array ?? []).compactMap(\.string)
        page = (try json.required("page").value.array ?? []).compactMap(\.string)
    }
}
