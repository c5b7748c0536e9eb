import Configuration
import Embedded
import HubModel
import Hub
import MQTT
import SimdJSON
import SystemPackage

/// What a service is told by file, environment and options, in this order of rising strength; see docs/running.md.
struct ServiceConfiguration {
    private let reader: ConfigReader

    /// - Parameters:
    ///   - file: nil for none.
    ///   - options: what the command line gives, by key.
    /// - Throws: `CommandError` for a file that cannot be read.
    init(file: String?, options: [(key: String, value: String?)]) async throws {
        var values: [AbsoluteConfigKey: ConfigValue] = [:]
        for (key, value) in options {
            guard let value else { continue }
            let path = AbsoluteConfigKey(key.split(separator: ".").map(String.init))
            values[path] = ConfigValue(.string(value), isSecret: key.hasSuffix("password"))
        }
        var providers: [any ConfigProvider] = [
            InMemoryProvider(name: "options", values: values),
            EnvironmentVariablesProvider().prefixKeys(with: "sensorhub"),
        ]
        if let file {
            do {
                providers.append(try await FileProvider<JSONSnapshot>(filePath: FilePath(file)))
            } catch {
                throw CommandError("\(file): \(error)")
            }
        }
        reader = ConfigReader(providers: providers)
    }

    func optional(_ key: String) -> String? {
        reader.string(forKey: ConfigKey(key)).flatMap { $0.isEmpty ? nil : $0 }
    }

    /// - Throws: `CommandError` that says the three ways to give the value.
    func required(_ key: String) throws -> String {
        guard let value = optional(key) else {
            throw CommandError(
                "'\(key)' is not set: put it into the configuration file, or set \(Self.variable(key))"
                    + (key.hasSuffix("assword") ? "" : ", or give it as an option"))
        }
        return value
    }

    func identifier(_ key: String, default standard: String? = nil) throws -> Identifier {
        let text = try optional(key) ?? standard ?? required(key)
        guard let id = Identifier(text) else {
            throw CommandError("'\(key)' is '\(text)', which is no id: \(Identifier.rule)")
        }
        return id
    }

    func address(_ key: String) throws -> BrokerAddress {
        try Self.address(try required(key), key)
    }

    func addresses(_ key: String) throws -> [BrokerAddress] {
        try (reader.stringArray(forKey: ConfigKey(key)) ?? []).map { try Self.address($0, key) }
    }

    private static func address(_ text: String, _ key: String) throws -> BrokerAddress {
        do {
            return try BrokerAddress(text)
        } catch {
            throw CommandError("'\(key)' is '\(text)', which \(error)")
        }
    }

    func number(_ key: String, default standard: Int64) throws -> Int64 {
        guard let number = reader.int(forKey: ConfigKey(key)) else {
            guard optional(key) == nil else {
                throw CommandError("'\(key)' is '\(optional(key)!)', which is no number")
            }
            return standard
        }
        guard number >= 0 else { throw CommandError("'\(key)' is \(number), which is less than nothing") }
        return Int64(number)
    }

    func bool(_ key: String, default standard: Bool) throws -> Bool {
        if let value = reader.bool(forKey: ConfigKey(key)) { return value }
        guard let text = optional(key) else { return standard }
        throw CommandError("'\(key)' is '\(text)', which is neither true nor false")
    }

    /// As in a deployment: `agent.limits.memory` and so on.
    func limits(_ key: String) throws -> Limits {
        var object = JSONObject()
        for name in ["memory", "cpu", "processes", "files"] {
            let key = "\(key).\(name)"
            if let number = reader.int(forKey: ConfigKey(key)) {
                object[name] = .int(Int64(number))
            } else if let text = optional(key) {
                object[name] = Int64(text).map { .int($0) } ?? .string(text)
            }
        }
        do { return try Limits(DocumentReader(.object(object), path: key)) } catch { throw CommandError("\(error)") }
    }

    /// The files of the broker's users and rights, where the hub is to keep them.
    func accessFiles() throws -> BrokerAccessFiles? {
        switch (optional("broker.passwordFile"), optional("broker.aclFile")) {
        case (nil, nil): nil
        case (let passwords?, let acl?):
            BrokerAccessFiles(passwordFile: passwords, aclFile: acl, pidFile: optional("broker.pidFile"))
        default: throw CommandError("'broker.passwordFile' and 'broker.aclFile' belong together: give both or none")
        }
    }

    /// `broker.passwordFile` is SENSORHUB_BROKER_PASSWORD_FILE.
    private static func variable(_ key: String) -> String {
        "SENSORHUB_" + key.flatMap { $0 == "." ? "_" : $0.isUppercase ? "_\($0)" : $0.uppercased() }
    }
}
