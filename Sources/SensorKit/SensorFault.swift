/// The sensor cannot be read: it does not answer, or what it says cannot be true.
public struct SensorFault: Error, Hashable, CustomStringConvertible {
    /// For people: what was tried and what came of it.
    public let reason: String

    public init(_ reason: String) {
        self.reason = reason
    }

    public var description: String { reason }
}

/// A control call that was not carried out.
public struct ControlError: Error, Hashable, CustomStringConvertible {
    public enum Code: Sendable, Hashable {
        /// The call asks for something that this sensor does not do; the caller's mistake.
        case refused
        /// The sensor could not do it.
        case failed
    }

    public let code: Code
    public let reason: String

    public init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    public static func refused(_ reason: String) -> Self { Self(.refused, reason) }
    public static func failed(_ reason: String) -> Self { Self(.failed, reason) }

    public var description: String { reason }
}
