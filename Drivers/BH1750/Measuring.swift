import SensorKit

/// Commands of one byte each (data sheet, "Instruction Set Architecture").
enum BH1750Command {
    static let powerOn: UInt8 = 0x01
    /// Sets the result to 0; only after `powerOn`.
    static let reset: UInt8 = 0x07
}

/// How finely the chip measures, once for each command; it then switches itself off.
enum BH1750Resolution: String, CaseIterable {
    /// 1 lux.
    case high
    /// 0.5 lux.
    case high2
    /// 4 lux, but seven times as fast.
    case low

    /// "One Time … Mode".
    var command: UInt8 {
        switch self {
        case .high: 0x20
        case .high2: 0x21
        case .low: 0x23
        }
    }

    /// The longest that a measurement takes (data sheet, "Electrical Characteristics", tHR and tLR): for the typical
    /// measurement time, to which it is proportional.
    func maximumDuration(_ time: BH1750MeasurementTime) -> Duration {
        Duration.milliseconds(self == .low ? 24 : 180) * time.factor
    }

    /// Illuminance in lux: count / 1.2 · 69 / measurement time, and half of it with `high2` (data sheet, "Measurement
    /// Sequence Example", and "Adjust measurement result for influence of optical window").
    func lux(count: UInt16, _ time: BH1750MeasurementTime) -> Double {
        Double(count) / 1.2 / time.factor / (self == .high2 ? 2 : 1)
    }
}

/// The register MTreg: how long the chip collects light. A longer time makes up for a window that lets less light
/// through, or measures less light more finely; a shorter one measures more light.
struct BH1750MeasurementTime: Equatable {
    let value: UInt8

    static let typical = BH1750MeasurementTime(value: 69)

    private init(value: UInt8) { self.value = value }

    init(_ reader: DocumentReader) throws(ValidationError) {
        value = UInt8(try reader.int(31...254))
    }

    /// To the typical one.
    var factor: Double { Double(value) / Double(Self.typical.value) }

    /// The upper three bits and the lower five are set one after the other ("Change Measurement time").
    var commands: [UInt8] { [0b0100_0000 | value >> 5, 0b0110_0000 | value & 0b1_1111] }
}
