import SensorKit

/// What comes of an echo pulse.
enum Sounding: Hashable {
    /// Metres.
    case distance(Double)
    /// Nothing is near enough, or something is too near.
    case outOfRange

    /// What the sensor can measure (data sheet, "Electric Parameter"), in metres.
    static let range = 0.02...4.0

    /// - Parameters:
    ///   - echo: how long the pulse was: the sound went there and back.
    ///   - celsius: of the air.
    init(echo: Duration, celsius: Double) {
        let metres = Double(echo.nanoseconds) / 1e9 * Self.speedOfSound(celsius: celsius) / 2
        self = Self.range.contains(metres) ? .distance(metres) : .outOfRange
    }

    /// In metres per second, in dry air as an ideal gas: 331.3 · √(1 + T / 273.15).
    static func speedOfSound(celsius: Double) -> Double { 331.3 * (1 + celsius / 273.15).squareRoot() }

    /// The one in the middle, so that a single echo from somewhere else does not count. Out of range is farthest.
    static func median(_ soundings: [Sounding]) -> Sounding {
        let sorted = soundings.sorted { $0.order < $1.order }
        return sorted[sorted.count / 2]
    }

    private var order: Double {
        switch self {
        case .distance(let metres): metres
        case .outOfRange: .infinity
        }
    }
}
