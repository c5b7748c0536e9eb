import HubModel
import MQTT
import SimdJSON

extension HubCore {
    /// Answers a request that came on a device's own topic.
    func answer(_ message: Message, _ service: DeviceService, device: String, app: String?) {
        answer(message) { try Request(message, service: service, device: device, app: app) }
    }

    /// `devices/{service}`: what a device is asked for, on its own topics or by `rpc/devices/…`.
    func deviceRequest(_ service: DeviceService, _ request: Request) throws -> Reply {
        let parameters = request.parameters
        let node = try requiredNode(parameters.required("node"))
        switch service {
        case .installApp:
            try parameters.allowOnly(["node", "app_id", "app_type", "app_tarball"])
            let app = try install(on: node, parameters, archive: request.archive)
            return Reply(["app_id": .string(app.id.text), "error": "", "instance": .string(app.instance.text)])
        case .fastDeploy:
            try parameters.allowOnly(["node", "app_id", "app_type", "app_tarball", "app_args"])
            let arguments = try parameters.optional("app_args").map { try AppArguments($0) } ?? AppArguments()
            return try ask(
                install(on: node, parameters, archive: request.archive, passing: arguments), toRun: true)
        case .startApp:
            try parameters.allowOnly(["node", "app_id", "app_args"])
            let app = try requiredDeviceApp(parameters, on: node)
            return try start(
                app, try parameters.optional("app_args").map { try AppArguments($0) } ?? AppArguments())
        case .stopApp:
            try parameters.allowOnly(["node", "app_id"])
            return try stop(requiredDeviceApp(parameters, on: node))
        case .deleteApp:
            try parameters.allowOnly(["node", "app_id", "force_stop"])
            let app = try requiredDeviceApp(parameters, on: node)
            let stops = try parameters.optional("force_stop")?.bool() ?? true
            if !stops, try state(of: app).isUp {
                throw Refusal(.conflict, "app '\(app.id)' is running: stop it first, or leave force_stop out")
            }
            let mayRunOn = try !onlineNodes.contains(node) && !state(of: app).isAtRest
            try delete(app, "delete_app was asked for")
            return Reply(["status": mayRunOn ? 202 : 200, "app_id": .string(app.id.text), "error": ""])
        case .apps, .runningApps:
            try parameters.allowOnly(["node"])
            let apps = try DeviceApp.all(on: node, in: database)
            let listed = try service == .apps ? apps : apps.filter { try state(of: $0).isUp }
            return Reply(["apps": .array(try listed.map(record(of:))), "error": ""])
        case .isAlive:
            try parameters.allowOnly(["node"])
            guard onlineNodes.contains(node) else { throw Refusal(.unavailable, "device '\(node)' is offline") }
            return Reply(["error": ""])
        case .appPage: return try page(parameters, on: node)
        }
    }

    private func requiredNode(_ reader: DocumentReader) throws -> Identifier {
        let name = try reader.string()
        let known = try database.query("SELECT name FROM hub.node").map { $0.text("name") }
        guard known.contains(name), let node = Identifier(name) else {
            throw Refusal(.notFound, "no device '\(name.prefix(80))' was ever here\(didYouMean(name, among: known))")
        }
        return node
    }

    func requiredDeviceApp(_ parameters: DocumentReader, on node: Identifier) throws -> DeviceApp {
        let reader = try parameters.required("app_id")
        let id = try reader.string()
        let apps = try DeviceApp.all(on: node, in: database)
        guard let app = apps.first(where: { $0.id.text == id }) else {
            throw Refusal(
                .notFound,
                "app_id: app '\(id.prefix(80))' is not installed on device '\(node)'"
                    + didYouMean(id, among: apps.map(\.id.text)))
        }
        return app
    }
}
