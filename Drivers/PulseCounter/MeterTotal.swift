import SensorKit

/// What a meter has counted in all: pulses, and what they stand for. Another factor, or another total that is set,
/// holds for pulses from then on. The total is computed from the pulses and not added up, so that no rounding gathers.
struct MeterTotal: Hashable {
    private(set) var pulses: Int64 = 0
    private let factor: Double
    /// What the total was when `basePulses` were counted.
    private var base: Double
    private var basePulses: Int64 = 0

    /// A meter that begins.
    init(total: Double, factor: Double) {
        base = total
        self.factor = factor
    }

    /// A meter that goes on from what was saved; nil where that is none.
    ///
    /// - Parameter factor: for pulses from now on.
    init?(_ saved: JSONObject, factor: Double) {
        guard let pulses = saved["pulses"]?.int, let base = saved["base"]?.double,
            let basePulses = saved["base_pulses"]?.int, let savedFactor = saved["factor"]?.double,
            0 <= basePulses, basePulses <= pulses, base.isFinite, savedFactor.isFinite
        else { return nil }
        self.pulses = pulses
        self.factor = factor
        self.base = base
        self.basePulses = basePulses
        if savedFactor != factor {
            self.base = base + Double(pulses - basePulses) * savedFactor
            self.basePulses = pulses
        }
    }

    var saved: JSONObject {
        ["pulses": .int(pulses), "base": .double(base), "base_pulses": .int(basePulses), "factor": .double(factor)]
    }

    var total: Double { base + Double(pulses - basePulses) * factor }

    mutating func add(_ count: Int64) { pulses += count }

    /// Sets the total, as when the meter itself was read.
    mutating func set(total: Double) {
        base = total
        basePulses = pulses
    }
}
