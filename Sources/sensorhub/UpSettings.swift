import Embedded
import Glibc
import HubModel
import MQTT

/// What `sensorhub up` is told by options, environment and file, in this order of falling strength.
struct UpSettings {
    let data: DataDirectory
    let listeners: [TCPAddress]

    /// - Parameters:
    ///   - file: nil for none.
    ///   - data: of the command line, as is `listen`.
    /// - Throws: `CommandError` that names the place of what cannot be understood.
    init(file: String?, data: String?, listen: [String]) throws {
        let written = try file.map { try Self.read($0) }
        if let path = data ?? environmentVariable("SENSORHUB_DATA") ?? written?.data {
            self.data = DataDirectory(path)
        } else {
            self.data = .standard()
        }
        if !listen.isEmpty {
            listeners = try listen.map { try Self.address($0, from: "--listen") }
        } else if let list = environmentVariable("SENSORHUB_LISTEN") {
            listeners = try list.split(separator: ",").map { try Self.address(String($0), from: "SENSORHUB_LISTEN") }
        } else {
            listeners = written?.listeners ?? []
        }
    }

    /// The configuration file in its usual places; nil where there is none.
    static func standardFile() -> String? {
        let own = environmentVariable("XDG_CONFIG_HOME") ?? environmentVariable("HOME").map { "\($0)/.config" }
        return [own, "/etc"].compactMap { $0.map { "\($0)/sensorhub/sensorhub.json" } }
            .first { access($0, F_OK) == 0 }
    }

    private static func read(_ file: String) throws -> (data: String?, listeners: [TCPAddress]?) {
        let reader = DocumentReader(try Document.read(file))
        do {
            try reader.allowOnly(["data", "listen"])
            let data = try reader.optional("data")?.string()
            guard let list = try reader.optional("listen") else { return (data, nil) }
            let listeners = try list.items().map { item in
                let text = try item.string()
                guard let address = TCPAddress(text) else {
                    throw item.error("'\(text)' is no address such as 0.0.0.0:1883")
                }
                return address
            }
            return (data, listeners)
        } catch {
            throw CommandError("\(file): \(error)")
        }
    }

    private static func address(_ text: String, from source: String) throws -> TCPAddress {
        guard let address = TCPAddress(text) else {
            throw CommandError("\(source): '\(text)' is no address such as 0.0.0.0:1883")
        }
        return address
    }
}

/// A variable of the environment; nil where it is not set or empty.
private func environmentVariable(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
}
