import SensorKit

/// What the factory found out about this one chip, and the formulae that use it (data sheet, "Trimming parameter
/// readout", and "Compensation formulas in double precision floating point").
struct BME280Calibration {
    private let t1, t2, t3: Double
    /// P1 to P9.
    private let p: [Double]
    /// Nil for a BMP280.
    let humidity: BME280HumidityCalibration?

    /// - Parameters:
    ///   - first: registers 0x88…0xA1.
    ///   - second: registers 0xE1…0xE7, of a BME280.
    /// - Returns: nil where it cannot be: a chip with nothing in its memory.
    init?(_ first: [UInt8], humidity second: [UInt8]?) {
        let unsigned = { (index: Int) in first.uint16(at: index * 2, .littleEndian) }
        let signed = { (index: Int) in Double(first.int16(at: index * 2, .littleEndian)) }
        guard (1..<UInt16.max).contains(unsigned(0)), (1..<UInt16.max).contains(unsigned(3)) else { return nil }
        t1 = Double(unsigned(0))
        t2 = signed(1)
        t3 = signed(2)
        p = [Double(unsigned(3))] + (4...11).map(signed)
        humidity = second.map { BME280HumidityCalibration(first: first[25], $0) }
    }

    /// The temperature in 1/5120 °C, which pressure and humidity are compensated with.
    func fineTemperature(_ raw: UInt32) -> Double {
        let difference = Double(raw) / 16_384 - t1 / 1_024
        let eighth = Double(raw) / 131_072 - t1 / 8_192
        return difference * t2 + eighth * eighth * t3
    }

    static func celsius(_ fineTemperature: Double) -> Double { fineTemperature / 5_120 }

    func pascals(_ raw: UInt32, _ fineTemperature: Double) -> Double {
        let t = fineTemperature / 2 - 64_000
        let offset = (t * t * p[5] / 32_768 + t * p[4] * 2) / 4 + p[3] * 65_536
        let slope = (1 + (p[2] * t * t / 524_288 + p[1] * t) / 524_288 / 32_768) * p[0]
        let linear = (1_048_576 - Double(raw) - offset / 4_096) * 6_250 / slope
        return linear + (p[8] * linear * linear / 2_147_483_648 + linear * p[7] / 32_768 + p[6]) / 16
    }
}

/// Of the BME280's humidity.
struct BME280HumidityCalibration {
    private let h1, h2, h3, h4, h5, h6: Double

    /// - Parameters:
    ///   - first: register 0xA1.
    ///   - bytes: registers 0xE1…0xE7. H4 and H5 have 12 bits, and share 0xE5.
    init(first: UInt8, _ bytes: [UInt8]) {
        h1 = Double(first)
        h2 = Double(bytes.int16(at: 0, .littleEndian))
        h3 = Double(bytes[2])
        h4 = Double(Int16(Int8(bitPattern: bytes[3])) * 16 + Int16(bytes[4] & 0x0F))
        h5 = Double(Int16(Int8(bitPattern: bytes[5])) * 16 + Int16(bytes[4] >> 4))
        h6 = Double(Int8(bitPattern: bytes[6]))
    }

    /// Relative humidity, from 0 to 100: beyond, the formula has it cut off.
    func percent(_ raw: UInt16, _ fineTemperature: Double) -> Double {
        let t = fineTemperature - 76_800
        let offset = h4 * 64 + h5 / 16_384 * t
        let slope = h2 / 65_536 * (1 + h6 / 67_108_864 * t * (1 + h3 / 67_108_864 * t))
        let linear = (Double(raw) - offset) * slope
        return min(100, max(0, linear * (1 - h1 * linear / 524_288)))
    }
}
