import SensorKit

/// How long a channel is on, in 4096ths of a period. It comes on at the beginning of the period.
struct PCA9685Duty: Equatable {
    /// 0 to 4096.
    let steps: UInt16

    static let off = PCA9685Duty(steps: 0)

    init(steps: UInt16) { self.steps = steps }

    /// - Parameter percent: 0 to 100.
    init(percent: Double) { steps = UInt16((percent / 100 * 4096).rounded()) }

    var percent: Double { Double(steps) / 4096 * 100 }

    /// LEDn_ON_L, LEDn_ON_H, LEDn_OFF_L, LEDn_OFF_H. Bit 12 is "always on" in the first pair, "always off" in the
    /// second (data sheet, 7.3.3).
    var registers: [UInt8] {
        switch steps {
        case 0: [0, 0, 0, 0x10]
        case 4096...: [0, 0x10, 0, 0]
        default: [0, 0] + ByteOrder.littleEndian.bytes(of: steps)
        }
    }
}

/// How fast pulses come: oscillator / (4096 · (prescale + 1)) (data sheet, 7.3.5).
enum PCA9685Frequency {
    /// The chip's own is 25 MHz, more or less: what it really is can be found with an oscilloscope.
    static let oscillators = 20e6...30e6
    /// After power on: 200 Hz.
    static let initialPrescale: UInt8 = 0x1E
    private static let prescales: ClosedRange<Double> = 3...255

    static func hertz(_ prescale: UInt8, oscillator: Double) -> Double {
        oscillator / 4096 / (Double(prescale) + 1)
    }

    /// What comes closest to the frequency that is written; nil where none is.
    static func prescale(_ reader: DocumentReader?, oscillator: Double) throws(ValidationError) -> UInt8? {
        guard let reader else { return nil }
        let hertz = try reader.double()
        let prescale = (oscillator / 4096 / hertz).rounded() - 1
        guard hertz > 0, prescales.contains(prescale) else {
            let slowest = self.hertz(255, oscillator: oscillator).rounded(.up)
            let fastest = self.hertz(3, oscillator: oscillator).rounded(.down)
            throw reader.error("must be from \(Int(slowest)) to \(Int(fastest)) Hz, is \(hertz)")
        }
        return UInt8(prescale)
    }
}
