import Credentials
import HubModel
import SimdJSON

/// The broker's passwords of hub, node and owner; made at the first start and kept, so that a client that has one goes on
/// working.
struct Secrets: Sendable, Hashable {
    var hub: String
    var node: String
    var owner: String

    /// Reads those in `path`, and makes and writes what is missing there.
    static func load(_ path: String) throws(EmbeddedError) -> Secrets {
        let known = try readFile(path).flatMap { try? JSON(parsing: $0) }
        func password(_ name: String) -> String? {
            known?[name]?.string.flatMap { $0.utf8.count >= 20 ? $0 : nil }
        }
        if let hub = password("hub"), let node = password("node"), let owner = password("owner") {
            return Secrets(hub: hub, node: node, owner: owner)
        }
        let secrets = Secrets(
            hub: password("hub") ?? Credential.makePassword(), node: password("node") ?? Credential.makePassword(),
            owner: password("owner") ?? Credential.makePassword())
        let json: JSON = [
            "hub": .string(secrets.hub), "node": .string(secrets.node), "owner": .string(secrets.owner),
        ]
        try writeFile(path, json.text(indented: true) + "\n", mode: 0o600)
        return secrets
    }
}
