import SensorKit

/// Ranges and filter, and what the chip's numbers mean with them.
struct MPU6050Settings: Equatable {
    /// Places in the lists below, which are the values of the registers' fields.
    private var acceleration = 0
    private var rotation = 0
    private var bandwidth = 3

    /// g, in both directions.
    private static let accelerations: [Int64] = [2, 4, 8, 16]
    /// Degrees per second.
    private static let rotations: [Int64] = [250, 500, 1_000, 2_000]
    /// Hz, of the accelerometer; the gyroscope's are much the same (register map, 4.3).
    private static let bandwidths: [Int64] = [260, 184, 94, 44, 21, 10, 5]
    /// Of the gyroscope, for each degree per second (data sheet, 6.1).
    private static let rotationSteps = [131, 65.5, 32.8, 16.4]
    /// "Operating temperature range" is −40 to 85 °C; what the chip's own sensor says may be a little more.
    private static let temperature = PhysicalRange("temperature", -45...95, "°C")

    mutating func setAcceleration(_ reader: DocumentReader) throws(ValidationError) {
        acceleration = try reader.index(among: Self.accelerations)
    }

    mutating func setRotation(_ reader: DocumentReader) throws(ValidationError) {
        rotation = try reader.index(among: Self.rotations)
    }

    mutating func setBandwidth(_ reader: DocumentReader) throws(ValidationError) {
        bandwidth = try reader.index(among: Self.bandwidths)
    }

    /// CONFIG, GYRO_CONFIG, ACCEL_CONFIG.
    var registers: [UInt8] { [UInt8(bandwidth), UInt8(rotation) << 3, UInt8(acceleration) << 3] }

    /// - Parameter bytes: ACCEL_XOUT_H to GYRO_ZOUT_L: acceleration, temperature, rotation.
    /// - Throws: where one is at the end of its range: it may be anything beyond.
    func values(_ bytes: [UInt8], _ chip: I2CDevice) throws(SensorFault) -> JSONObject {
        let steps = stride(from: 0, to: 14, by: 2).map { bytes.int16(at: $0, .bigEndian) }
        var values = JSONObject()
        let perG = 16_384.0 / Double(1 << acceleration)
        for (index, axis) in ["x", "y", "z"].enumerated() {
            let limits = (Self.accelerations[acceleration], Self.rotations[rotation])
            try check(steps[index], "an acceleration along \(axis) of \(limits.0) g or more", chip)
            try check(steps[4 + index], "a rotation about \(axis) of \(limits.1)°/s or more", chip)
            values["acceleration_\(axis)_g"] = .double(Double(steps[index]) / perG)
        }
        for (index, axis) in ["x", "y", "z"].enumerated() {
            values["rotation_\(axis)_dps"] = .double(Double(steps[4 + index]) / Self.rotationSteps[rotation])
        }
        // Register map, 4.18.
        let celsius = try Self.temperature.checked(Double(steps[3]) / 340 + 36.53, of: chip)
        values["temperature_celsius"] = .double(celsius)
        return values
    }

    private func check(_ steps: Int16, _ what: String, _ chip: I2CDevice) throws(SensorFault) {
        guard steps != .max, steps != .min else {
            throw SensorFault("\(chip.name): there is \(what), the end of the range")
        }
    }
}
