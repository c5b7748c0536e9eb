/// What a sensor's status topic says.
public enum SensorStatus: Sendable, Hashable {
    case online
    /// The sensor works, and what it measures is not as it should be.
    case alert([FieldAlert])
    /// The driver runs, but the sensor cannot be read.
    case fault(String)
    /// No driver runs.
    case offline(String)

    /// The driver has ended as it should.
    public static let stopped = SensorStatus.offline("stopped")
    /// The broker says this for a driver that is gone without a word.
    public static let connectionLost = SensorStatus.offline("connection lost")

    private static let maximumReason = 500

    /// - Parameter time: microseconds since 1970; nil for a last will, which is written before it happens.
    public func json(time: Int64?) -> JSON {
        var object: JSONObject
        switch self {
        case .online: object = ["status": "online"]
        case .alert(let alerts): object = ["status": "online", "alerts": .array(alerts.map(\.json))]
        case .fault(let reason):
            object = ["status": "fault", "reason": .string(String(reason.prefix(Self.maximumReason)))]
        case .offline(let reason): object = ["status": "offline", "reason": .string(reason)]
        }
        if let time { object["t"] = .int(time) }
        return .object(object)
    }
}
