import Credentials
import HubModel
import Postgres
import SimdJSON

extension HubCore {
    /// Installs an app, or another version of it; one that is to run is started anew with that.
    ///
    /// - Parameter passing: what it is to be started with, where it is to be gone when it has ended.
    func install(
        on node: Identifier, _ parameters: DocumentReader, archive raw: [UInt8]?, passing: AppArguments? = nil
    ) throws -> DeviceApp {
        let bytes = try archive(parameters, raw)
        let type = try parameters.optional("app_type").map { reader in
            guard let type = Identifier(try reader.string()) else { throw reader.error("is no type of app") }
            return type
        }
        let package = try AppPackage(bytes, type: type, runtimes: configuration.runtimes)
        let id = try appID(parameters, package)
        let known = try DeviceApp.all(on: node, in: database).first { $0.id == id }
        let arguments: AppArguments
        if let passing {
            guard known == nil else {
                throw Refusal(
                    .conflict,
                    "app '\(id)' is installed on device '\(node)', and would be gone afterwards: start_app runs it")
            }
            _ = try package.parameters.values(passing.parameters, path: "app_args")
            arguments = passing
        } else {
            arguments = try self.arguments(of: known, for: package)
        }
        let runtime = configuration.runtimes[package.type]!
        let digest = sha256(bytes)
        var instance = AlgorithmInstance(
            id: try known?.instance ?? freeInstanceID(app: id, algorithm: node), app: id, sha256: digest,
            algorithm: Self.deviceAlgorithm, script: runtime.entry, runtime: runtime.name,
            requirements: package.requirements, conditions: package.rules.conditions, positions: [], outputs: [],
            mayRunCommands: false, node: node, binding: [],
            boundOutputs: [], bindingVersion: 1, bindingReason: "installed on a device")
        if let old = known.flatMap({ instances[$0.instance] }) { instance.bindingVersion = old.bindingVersion }
        let app = DeviceApp(
            node: node, id: id, instance: instance.id, package: package, arguments: arguments,
            request: known?.request ?? 0, isWanted: known?.isWanted ?? false, isPassing: passing != nil,
            createdAt: 0, updatedAt: 0)
        try database.transaction {
            try storeArchive(bytes, digest, app: id, manifest: [:])
            try instance.replace(in: database)
            try app.store(in: database)
            try forgetArchives(of: id)
            try record("app.installed", id.text, ["node": .string(node.text), "version": .string(digest)])
        }
        instances[instance.id] = instance
        publish(bindingMessage(of: instance))
        changeRights()
        changePlan(of: node)
        return app
    }

    /// Those of its last start, where they are good for another version: else the next start has to give them anew.
    private func arguments(of app: DeviceApp?, for package: AppPackage) throws -> AppArguments {
        guard let app else { return AppArguments() }
        do {
            _ = try package.parameters.values(app.arguments.parameters, path: "app_args")
            return app.arguments
        } catch {
            guard !app.isWanted else {
                throw Refusal(
                    .conflict,
                    "app '\(app.id)' runs with values that the new version does not take (\(error)): stop it first")
            }
            return AppArguments()
        }
    }

    /// What the instance of a device's app is called where algorithms have a name.
    private static let deviceAlgorithm = Identifier("app")!

    private func appID(_ parameters: DocumentReader, _ package: AppPackage) throws -> Identifier {
        if let reader = try parameters.optional("app_id") {
            guard try !reader.string().isEmpty else { throw reader.error("must not be empty") }
            return try reader.identifier()
        }
        guard let name = package.info["name"]?.string else {
            throw Refusal(.badRequest, "app_id is missing, and \(AppPackage.infoName) has no name")
        }
        guard let id = Identifier(name) else {
            throw Refusal(
                .badRequest,
                "\(AppPackage.infoName): name: '\(name.prefix(80))' cannot be the app_id (\(Identifier.rule)): give an app_id"
            )
        }
        return id
    }

    // MARK: Archives

    /// In base64, with what is around it, within the largest packet that the broker takes (mosquitto.conf).
    private static let maximumArchiveBytes = 47 << 20

    /// The bytes of the archive: as they came, or in base64, alone or as `data` of a file message.
    private func archive(_ parameters: DocumentReader, _ raw: [UInt8]?) throws -> [UInt8] {
        let bytes: [UInt8]
        if let raw {
            bytes = raw
        } else {
            var reader = try parameters.required("app_tarball")
            if reader.value.object != nil { reader = try reader.required("data") }
            let text = try reader.nonEmptyString().utf8.filter { !" \r\n\t".utf8.contains($0) }
            guard let decoded = Base64.decode(text) else { throw reader.error("expected an archive in base64") }
            bytes = decoded
        }
        guard bytes.count <= Self.maximumArchiveBytes else {
            throw Refusal(.tooLarge, "the archive is larger than \(Self.maximumArchiveBytes >> 20) MiB")
        }
        return bytes
    }
}
