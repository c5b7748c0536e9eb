import SensorKit

extension DocumentReader {
    /// The number, whole or not.
    func number(in range: ClosedRange<Double>) throws(ValidationError) -> Double {
        let number = try double()
        guard range.contains(number) else {
            throw error("must be from \(range.lowerBound) to \(range.upperBound), is \(number)")
        }
        return number
    }
}
