import SensorKit

/// What a chip can measure, as its data sheet says.
struct PhysicalRange {
    /// For people, as `temperature`.
    let quantity: String
    let limits: ClosedRange<Double>
    let unit: String

    init(_ quantity: String, _ limits: ClosedRange<Double>, _ unit: String) {
        self.quantity = quantity
        self.limits = limits
        self.unit = unit
    }

    /// The value, if the chip can have measured it.
    ///
    /// - Throws: `SensorFault` for one that lies outside, which is no measurement.
    func checked(_ value: Double, of chip: I2CDevice) throws(SensorFault) -> Double {
        guard limits.contains(value) else {
            throw SensorFault(
                """
                \(chip.name): a \(quantity) of \((value * 100).rounded() / 100) \(unit) is outside of what the chip \
                can measure, \(limits.lowerBound) to \(limits.upperBound) \(unit)
                """)
        }
        return value
    }
}
