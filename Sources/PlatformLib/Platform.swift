import Glibc
public import HubModel
import MQTT
public import SimdJSON
import Synchronization

/// The connection of one algorithm instance to its hub: its binding, its sensors' readings and control functions, and
/// its app's page. It connects in the background and comes back by itself when the broker was away.
///
///     let platform = try Platform()
///     for await reading in platform.readings(0) {
///         if let lux = reading["lux"]?.double, lux < 40 {
///             try await platform.call(reading.sensor, "set_light", ["on": true])
///         }
///     }
public final class Platform: Sendable {
    /// Who this is.
    public let environment: PlatformEnvironment

    private let topics: Topics
    private let client: Client
    private let state: PlatformState
    private let commands: NodeCommands

    /// Takes what the hub has put into the environment, and begins to connect.
    ///
    /// - Throws: `PlatformError` where the environment is not as a hub makes it.
    public convenience init() throws(PlatformError) {
        self.init(try PlatformEnvironment())
    }

    /// Begins to connect.
    public init(_ environment: PlatformEnvironment) {
        self.environment = environment
        topics = Topics(hub: environment.hub)
        let state = PlatformState(bindingTopic: topics.algorithm(environment.instance.text, .binding))
        self.state = state
        let commands = NodeCommands(environment)
        self.commands = commands
        client = Client(
            ClientConfiguration(
                address: environment.broker, clientID: environment.user, user: environment.user,
                password: environment.password)
        ) { event in
            state.handle(event)
            commands.handle(event)
        }
        state.setClient(client)
        commands.setClient(client)
        client.subscribe(state.bindingTopic)
        client.start()
    }

    /// Ends all iterations and calls, and disconnects.
    public func close() {
        state.close()
        commands.close()
        client.stop()
    }

    // MARK: Binding

    /// The binding, waiting for it if need be.
    ///
    /// - Throws: `PlatformError` when it does not come in time.
    public func binding(timeout: Duration = .seconds(30)) async throws(PlatformError) -> BindingDocument {
        let waiting = Task { [state] () -> BindingDocument? in
            for await binding in state.bindings() { return binding }
            return nil
        }
        let timer = Task {
            try await Task.sleep(for: timeout)
            waiting.cancel()
        }
        defer { timer.cancel() }
        if let binding = await waiting.value { return binding }
        throw PlatformError(
            .noBinding, state.problem ?? "no binding for '\(environment.instance)' within \(timeout): is it deployed?")
    }

    /// The binding as it is, and each new one.
    public func bindings() -> AsyncStream<BindingDocument> { state.bindings() }

    // MARK: Readings

    /// The readings of these positions, or of all if none is named. The stream follows the binding as it changes, and
    /// ends when the platform is closed. When the algorithm is slower than its sensors, the newest 1,000 readings wait.
    public func readings(_ positions: Int...) -> AsyncStream<Reading> {
        state.readings(of: positions.isEmpty ? nil : Set(positions))
    }

    /// Has `take` called with each reading of these positions, or of all if none is named: as soon as it comes, on the
    /// thread that reads from the broker. That is the shortest way; nothing else is read while `take` runs, so what takes
    /// long or waits belongs into a loop over `readings`.
    ///
    /// - Returns: ends it, by `cancel` or when it is destroyed.
    public func onReading(_ positions: Int..., take: @escaping @Sendable (Reading) -> Void) -> ReadingSubscription {
        ReadingSubscription(state, state.listen(to: positions.isEmpty ? nil : Set(positions), take))
    }

    // MARK: Control

    /// Calls a control function of the first sensor at a position, and waits for the driver's reply.
    ///
    /// - Throws: `PlatformError`; `refused`, `failed` and `timeout` say what became of it.
    @discardableResult
    public func call(
        _ position: Int, _ function: String, _ parameters: JSONObject = [:], timeout: Duration = .seconds(10)
    ) async throws(PlatformError) -> ControlReply {
        try await call(try sensor(at: position, in: await binding()), function, parameters, timeout)
    }

    /// Calls a control function of a bound sensor, and waits for the driver's reply.
    ///
    /// - Throws: as `call` of a position.
    @discardableResult
    public func call(
        _ id: Identifier, _ function: String, _ parameters: JSONObject = [:], timeout: Duration = .seconds(10)
    ) async throws(PlatformError) -> ControlReply {
        let bound = try await binding().positions.flatMap(\.sensors)
        guard let sensor = bound.first(where: { $0.id == id }) else {
            throw PlatformError(.invalid, "sensor '\(id)' is not bound to '\(environment.instance)'")
        }
        return try await call(sensor, function, parameters, timeout)
    }

    private func call(
        _ sensor: BindingDocument.Sensor, _ function: String, _ parameters: JSONObject, _ timeout: Duration
    ) async throws(PlatformError) -> ControlReply {
        let call = ControlCall(id: makeUniqueID(), function: function, parameters: parameters)
        do {
            try call.check(against: sensor.functions)
        } catch {
            throw PlatformError(.invalid, "\(error)")
        }
        guard let topic = sensor.controlTopic else {
            throw PlatformError(.invalid, "'\(sensor.id)' cannot be controlled")
        }
        let message = OutgoingMessage(
            topic: topic, payload: call.json.bytes(), expirySeconds: UInt32(max(1, timeout / .seconds(1))))
        let timer = Task { [state] in
            try await Task.sleep(for: timeout)
            state.finishCall(
                call.id, .failure(PlatformError(.timeout, "no reply from '\(sensor.id)' within \(timeout)")))
        }
        defer { timer.cancel() }
        let reply = try await state.reply(to: call.id) { [client] () throws(MQTTError) in
            try client.publish(message)
        }
        switch reply.status {
        case .done: return reply
        case .refused: throw PlatformError(.refused, "'\(sensor.id)' refused: \(reply.error ?? "no reason given")")
        case .failed: throw PlatformError(.failed, "'\(sensor.id)' failed: \(reply.error ?? "no reason given")")
        }
    }

    /// The first sensor at a position.
    func sensor(at position: Int, in binding: BindingDocument) throws(PlatformError) -> BindingDocument.Sensor {
        guard binding.positions.indices.contains(position) else {
            throw PlatformError(
                .invalid, "there is no position \(position): the binding has \(binding.positions.count)")
        }
        guard let sensor = binding.positions[position].sensors.first else {
            throw PlatformError(.invalid, "no sensor is bound at position \(position) now")
        }
        return sensor
    }

    // MARK: Commands

    /// Runs a command on a node, once, and returns when it has a process. It goes on when this program ends, and is
    /// stopped when the algorithm instance is stopped for good. The deployment needs `"commands": true`, and the node's
    /// agent the setting `agent.commands`.
    ///
    /// - Parameters:
    ///   - node: the node's id.
    ///   - arguments: the program, and what it is given; there is no shell between.
    ///   - environment: variables besides those that every command has.
    ///   - name: what its id begins with; the program's file name without it.
    ///   - hasInput: true where its standard input is what `write` sends; else it has none.
    /// - Throws: `PlatformError`: `refused` by the hub, `failed` where the node cannot start it, `undelivered`, `timeout`.
    public func run(
        on node: String, _ arguments: [String], environment: [String: String] = [:], name: Identifier? = nil,
        hasInput: Bool = false, timeout: Duration = .seconds(10)
    ) async throws(PlatformError) -> NodeCommand {
        guard !arguments.isEmpty else { throw PlatformError(.invalid, "a command begins with the program to run") }
        var parameters: JSONObject = [
            "node": .string(node), "command": .array(arguments.map { .string($0) }), "input": .bool(hasInput),
            "environment": .object(JSONObject(environment.map { ($0.key, .string($0.value)) })),
        ]
        if let name { parameters["name"] = .string(name.text) }
        return try await commands.run(parameters, arguments, timeout: timeout)
    }

    // MARK: Page

    /// Publishes what the app's page shows.
    ///
    /// - Throws: `PlatformError` without a connection to the broker.
    public func publishPage(_ page: JSON) throws(PlatformError) {
        do {
            try client.publish(OutgoingMessage(topic: topics.page(of: environment.app), payload: page.bytes()))
        } catch {
            throw PlatformError(.undelivered, error.reason)
        }
    }
}
