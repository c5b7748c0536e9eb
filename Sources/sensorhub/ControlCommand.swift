import ArgumentParser
import HubModel
import MQTT
import SimdJSON

struct ControlCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "control", abstract: "Call a control function of a sensor.",
        discussion: "For example: sensorhub control light-1 set_light on=true")
    @Argument(help: "The sensor's id.") var sensor: String
    @Argument(help: "The control function.") var function: String
    @Argument(help: ArgumentHelp("Its parameters.", valueName: "name=value")) var parameters: [String] = []
    @Option(help: "How many seconds to wait for the reply.") var timeout = 10
    @OptionGroup var options: HubOptions

    func run() async throws {
        let client = try await options.connect()
        let known = try await client.request("sensors", "show", ["name": .string(sensor)])["sensor"] ?? [:]
        let type = try SensorType(
            json: try await client.request(
                "types", "show", ["name": .string(known.plain("type"))])["type"] ?? [:])
        let call = ControlCall(id: makeUniqueID(), function: function, parameters: try values(type))
        do {
            try call.check(against: type.functions)
        } catch {
            throw CommandError("\(error)")
        }
        let replies = client.follow(client.topics.sensor(sensor, .reply))
        try client.publish(
            .init(
                topic: client.topics.sensor(sensor, .control), payload: call.json.bytes(),
                expirySeconds: UInt32(max(1, timeout))))
        guard let reply = await firstReply(to: call, in: replies) else {
            throw CommandError(
                "no reply from '\(sensor)' within \(timeout) seconds; it is \(known.plain("state"))"
                    + (known["driver"]?.string == nil ? "" : ", see 'sensorhub logs \(sensor)'"))
        }
        if options.json { print(reply.json.text(indented: true)) }
        guard reply.status == .done else {
            if options.json { throw ExitCode.failure }
            throw CommandError("\(reply.status.rawValue): \(reply.error ?? "no reason given")")
        }
        if !options.json { print("\(sensor): done") }
    }

    /// The words as the function's parameters have them: `1` is text for a string, and a number for a float.
    private func values(_ type: SensorType) throws -> JSONObject {
        let known = type.function(function)?.parameters ?? []
        return try assignments(parameters) { name, text in
            known.first { $0.name == name }?.type == .string ? .string(text) : literal(text)
        }
    }

    private func firstReply(to call: ControlCall, in messages: AsyncStream<Message>) async -> ControlReply? {
        let waiting = Task { () -> ControlReply? in
            for await message in messages {
                guard let reply = try? ControlReply(DocumentReader(JSON(parsing: message.payload))), reply.id == call.id
                else { continue }
                return reply
            }
            return nil
        }
        let timer = Task {
            try await Task.sleep(for: .seconds(timeout))
            waiting.cancel()
        }
        defer { timer.cancel() }
        return await waiting.value
    }
}
