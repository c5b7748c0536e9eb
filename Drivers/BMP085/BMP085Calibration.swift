import SensorKit

/// What the factory found out about this one chip, and the formulae that use it (data sheet, "Calculating pressure and
/// temperature"), in whole numbers as there: each division cuts off, each shift rounds down.
struct BMP085Calibration {
    private let ac1, ac2, ac3, ac4, ac5, ac6, b1, b2, mc, md: Int

    /// AC1 to AC6, B1, B2, MB, MC, MD: two bytes each, the upper one first.
    static let size = 22

    /// - Parameter bytes: registers 0xAA…0xBF.
    /// - Returns: nil where it cannot be: no word is 0 or 0xFFFF (data sheet, "Calibration coefficients").
    init?(_ bytes: [UInt8]) {
        let words = stride(from: 0, to: Self.size, by: 2).map { bytes.uint16(at: $0, .bigEndian) }
        guard !words.contains(0), !words.contains(.max) else { return nil }
        let signed = words.map { Int(Int16(bitPattern: $0)) }
        (ac1, ac2, ac3) = (signed[0], signed[1], signed[2])
        (ac4, ac5, ac6) = (Int(words[3]), Int(words[4]), Int(words[5]))
        // MB, signed[8], is in no formula.
        (b1, b2, mc, md) = (signed[6], signed[7], signed[9], signed[10])
    }

    /// The temperature in 1/160 °C, which pressure is compensated with. Nil where the formula has no result.
    func b5(rawTemperature: Int) -> Int? {
        let x1 = ((rawTemperature - ac6) * ac5) >> 15
        guard x1 + md != 0 else { return nil }
        return x1 + (mc << 11) / (x1 + md)
    }

    /// In steps of 0.1 °C.
    static func celsius(b5: Int) -> Double { Double((b5 + 8) >> 4) / 10 }

    /// Nil where the formula has no result.
    func pascals(raw: Int, b5: Int, exponent: Int) -> Int? {
        let b6 = b5 - 4_000
        let square = (b6 * b6) >> 12
        let x3 = ((b2 * square) >> 11) + ((ac2 * b6) >> 11)
        let b3 = (((ac1 * 4 + x3) << exponent) + 2) / 4
        let y3 = (((ac3 * b6) >> 13) + ((b1 * square) >> 16) + 2) >> 2
        let b4 = (ac4 * (y3 + 32_768)) >> 15
        guard b4 > 0, raw >= b3 else { return nil }
        let pressure = (raw - b3) * (50_000 >> exponent) * 2 / b4
        let quotient = pressure >> 8
        let x1 = (quotient * quotient * 3_038) >> 16
        return pressure + ((x1 + ((-7_357 * pressure) >> 16) + 3_791) >> 4)
    }
}
