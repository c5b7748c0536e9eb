import Glibc

/// The four programs of an embedded hub.
enum Part: String, Sendable, CaseIterable {
    case postgres, mosquitto, hub, agent

    /// The agent first, so that its programs say farewell; the database last, so that what they said is stored.
    static let stopOrder: [Part] = [.agent, .hub, .mosquitto, .postgres]

    /// For PostgreSQL the fast way: it does not wait for its clients.
    var stopSignal: Int32 { self == .postgres ? SIGINT : SIGTERM }

    /// PostgreSQL ends at once and recovers at its next start; the hub's work is in the database. The agent has its
    /// programs to stop, and mosquitto its memory to save.
    var hastySignal: Int32 {
        switch self {
        case .postgres: SIGQUIT
        case .hub: SIGKILL
        case .agent, .mosquitto: SIGTERM
        }
    }

    /// How long it may take before it is killed. The agent has programs of its own to stop, PostgreSQL may have much to
    /// write.
    var stopWait: Duration {
        switch self {
        case .agent: .seconds(30)
        case .postgres: .seconds(60)
        case .hub, .mosquitto: .seconds(10)
        }
    }
}

extension DataDirectory {
    func log(of part: Part) -> String { "\(logs)/\(part.rawValue).log" }
    func records(of part: Part) -> String { "\(records)/\(part.rawValue)" }
}
