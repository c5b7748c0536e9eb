/// The names of all topics of one hub; see docs/topics.md.
public struct Topics: Sendable, Hashable {
    public let root: String

    public init(hub: Identifier) {
        root = "sensorhub/\(hub)"
    }

    // MARK: Hub

    public var hubStatus: String { "\(root)/status" }
    public func request(_ service: String, _ method: String) -> String { "\(root)/rpc/\(service)/\(method)" }
    public var requests: String { "\(root)/rpc/+/+" }
    public func client(_ user: BrokerUser) -> String { "\(root)/clients/\(user)" }
    public func event(_ kind: String) -> String { "\(root)/events/\(kind)" }
    public var events: String { "\(root)/events/#" }

    // MARK: Sensors; `sensor` is an instance's id or `+`

    public func sensor(_ sensor: String, _ leaf: SensorLeaf) -> String { "\(root)/sensors/\(sensor)/\(leaf.rawValue)" }

    public enum SensorLeaf: String, Sendable, CaseIterable {
        case data, control, reply = "control/reply", status, committed, log, events
    }

    // MARK: Algorithms and apps

    public func algorithm(_ instance: String, _ leaf: AlgorithmLeaf) -> String {
        "\(root)/algorithms/\(instance)/\(leaf.rawValue)"
    }

    public enum AlgorithmLeaf: String, Sendable {
        case binding, log, events
    }

    // MARK: Commands; `command` is an id or `+`

    public func command(_ command: String, _ leaf: CommandLeaf) -> String {
        "\(root)/commands/\(command)/\(leaf.rawValue)"
    }

    public enum CommandLeaf: String, Sendable {
        case log, events
    }

    /// What an algorithm instance asks of the hub; `instance`, `service` and `method` are names or `+`.
    public func request(of instance: String, _ service: String, _ method: String) -> String {
        "\(root)/algorithms/\(instance)/rpc/\(service)/\(method)"
    }

    public func page(of app: Identifier) -> String { "\(root)/apps/\(app)/page" }

    // MARK: Nodes; `node` is an id or `+`

    public func node(_ node: String, _ leaf: NodeLeaf) -> String { "\(root)/nodes/\(node)/\(leaf.rawValue)" }

    public enum NodeLeaf: String, Sendable {
        case status, report, command, statistics
    }

    public func archive(node: String, sha256: String) -> String { "\(root)/nodes/\(node)/archive/\(sha256)" }

    // MARK: Reading a topic

    /// The parts of `topic` below the root, or nil where it is not under it.
    public func parts(of topic: String) -> [Substring]? {
        guard topic.hasPrefix(root + "/") else { return nil }
        return topic.dropFirst(root.count + 1).split(separator: "/", omittingEmptySubsequences: false)
    }
}

/// A user of the broker. Every name but a sensor's has a dot in it, which no sensor id can have.
public enum BrokerUser: Sendable, Hashable, CustomStringConvertible {
    case hub(Identifier)
    case node(Identifier)
    case sensor(Identifier)
    case algorithm(Identifier)
    case person(Identifier)

    public var description: String {
        switch self {
        case .hub(let id): "hub.\(id)"
        case .node(let id): "node.\(id)"
        case .sensor(let id): id.text
        case .algorithm(let id): "algorithm.\(id)"
        case .person(let id): "user.\(id)"
        }
    }

    /// Reads a user name back.
    public init?(_ name: String) {
        let parts = name.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let id = Identifier(parts[parts.count - 1]) else { return nil }
        switch (parts.count, parts[0]) {
        case (1, _): self = .sensor(id)
        case (2, "hub"): self = .hub(id)
        case (2, "node"): self = .node(id)
        case (2, "algorithm"): self = .algorithm(id)
        case (2, "user"): self = .person(id)
        default: return nil
        }
    }
}
