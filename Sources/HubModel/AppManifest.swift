/// What `appConfig.json` says of an app: who it is, what it needs, and its algorithms.
public struct AppManifest: Sendable, Hashable {
    public struct Algorithm: Sendable, Hashable {
        public let name: Identifier
        /// The script's path inside the archive.
        public let script: String
        /// The sensor type of each position, in order; a type can stand here more than once.
        public let inputSensors: [Identifier]
        /// The sensor type of each position that it publishes readings for, in order; likewise.
        public let outputSensors: [Identifier]
    }

    public let id: Identifier
    public let name: String
    public let developer: String
    /// PyPI requirements, as `numpy==2.0.0`.
    public let requirements: [String]
    public let algorithms: [Algorithm]

    public func algorithm(_ name: String) -> Algorithm? {
        algorithms.first { $0.name.text == name }
    }

    /// Reads `appConfig.json`.
    public init(_ reader: DocumentReader) throws(ValidationError) {
        try reader.allowOnly(["application_name", "application_id", "developer_id", "environment", "algorithm_list"])
        id = try reader.required("application_id").identifier()
        name = try reader.required("application_name").nonEmptyString()
        developer = try reader.optional("developer_id")?.string() ?? ""
        if let environment = try reader.optional("environment") {
            try environment.allowOnly(["os", "modules"])
            _ = try environment.optional("os")?.string()
            requirements = try environment.optional("modules").map(Requirement.list) ?? []
        } else {
            requirements = []
        }
        let list = try reader.required("algorithm_list")
        var algorithms: [Algorithm] = []
        for item in try list.items() {
            let algorithm = try Self.algorithm(item)
            guard !algorithms.contains(where: { $0.name == algorithm.name }) else {
                throw item.error("the algorithm '\(algorithm.name)' stands here twice")
            }
            algorithms.append(algorithm)
        }
        guard !algorithms.isEmpty else { throw list.error("at least one algorithm is needed") }
        self.algorithms = algorithms
    }

    private static func algorithm(_ reader: DocumentReader) throws(ValidationError) -> Algorithm {
        try reader.allowOnly(["algorithm_name", "script", "input_sensors", "output_sensors"])
        let script = try reader.required("script")
        try script.allowOnly(["name"])
        let scriptName = try script.required("name")
        let path = try scriptName.nonEmptyString()
        guard ArchivePath.isSafe(path) else {
            throw scriptName.error("'\(path.prefix(80))' is no path inside the app")
        }
        return Algorithm(
            name: try reader.required("algorithm_name").identifier(), script: path,
            inputSensors: try types(try reader.optional("input_sensors")),
            outputSensors: try types(try reader.optional("output_sensors")))
    }

    /// `[{"sensor_type": "gps"}, …]`
    private static func types(_ reader: DocumentReader?) throws(ValidationError) -> [Identifier] {
        var types: [Identifier] = []
        for item in try reader?.items() ?? [] {
            try item.allowOnly(["sensor_type"])
            types.append(try item.required("sensor_type").identifier())
        }
        return types
    }
}

/// The path of an entry in an archive.
public enum ArchivePath {
    /// True for a relative path that stays below the folder it is unpacked in.
    public static func isSafe(_ path: String) -> Bool {
        guard !path.isEmpty, path.utf8.count <= 512, !path.hasPrefix("/"), !path.contains("\\") else { return false }
        guard !path.unicodeScalars.contains(where: { $0.value < 0x20 }) else { return false }
        return !path.split(separator: "/").contains("..")
    }
}
