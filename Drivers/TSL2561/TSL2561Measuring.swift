import Glibc
import SensorKit

enum TSL2561Gain: String, CaseIterable {
    /// 1.
    case low
    /// 16.
    case high
    case auto
}

/// How long the chip collects light; the value is that of INTEG in the register TIMING.
enum TSL2561Time: UInt8, CaseIterable {
    case shortest, short, longest

    init(_ reader: DocumentReader) throws(ValidationError) {
        self = Self.allCases[try reader.index(among: Self.allCases.map(\.milliseconds))]
    }

    /// Nominally (data sheet, "Timing Register").
    var milliseconds: Double {
        switch self {
        case .shortest: 13.7
        case .short: 101
        case .longest: 402
        }
    }

    /// In units of 918 clocks (data sheet, "Timing Register").
    var cycles: Double {
        switch self {
        case .shortest: 11
        case .short: 81
        case .longest: 322
        }
    }

    /// The highest count ("Operating Characteristics").
    var limit: UInt16 {
        switch self {
        case .shortest: 5_047
        case .short: 37_177
        case .longest: 65_535
        }
    }

    /// The clock has 690 to 780 kHz, and 735 kHz nominally.
    var maximumDuration: Duration { .milliseconds(Int64((milliseconds * 735 / 690).rounded(.up)) + 2) }
}

/// What the two channels have counted.
struct TSL2561Counts {
    /// Channel 0: visible and infrared light.
    let broadband: UInt16
    /// Channel 1.
    let infrared: UInt16
    let time: TSL2561Time
    let isGainHigh: Bool

    var limit: UInt16 { time.limit }
    var isSaturated: Bool { max(broadband, infrared) >= limit }

    /// What the counts would be in 402 ms with a gain of 16, for which the formulae are.
    var scale: Double { 322 / time.cycles * (isGainHigh ? 1 : 16) }
}

/// Two packages with different windows, and so with formulae of their own.
enum TSL2561Package {
    /// Chipscale.
    case cs
    /// T, FN, CL.
    case t

    /// The upper half of the register ID is the part, the lower one its revision.
    init?(id: UInt8) {
        switch id >> 4 {
        case 0b0001: self = .cs
        case 0b0101: self = .t
        default: return nil
        }
    }

    /// Illuminance in lux (data sheet, "Calculating Lux", the empirical formulae).
    func lux(_ counts: TSL2561Counts) -> Double {
        guard counts.broadband > 0 else { return 0 }
        let ch0 = Double(counts.broadband) * counts.scale, ch1 = Double(counts.infrared) * counts.scale
        let ratio = ch1 / ch0
        let lux =
            switch (self, ratio) {
            case (.cs, ...0.52): 0.0315 * ch0 - 0.0593 * ch0 * pow(ratio, 1.4)
            case (.cs, ...0.65): 0.0229 * ch0 - 0.0291 * ch1
            case (.cs, ...0.80): 0.0157 * ch0 - 0.0180 * ch1
            case (.cs, ...1.30): 0.00338 * ch0 - 0.00260 * ch1
            case (.t, ...0.50): 0.0304 * ch0 - 0.062 * ch0 * pow(ratio, 1.4)
            case (.t, ...0.61): 0.0224 * ch0 - 0.031 * ch1
            case (.t, ...0.80): 0.0128 * ch0 - 0.0153 * ch1
            case (.t, ...1.30): 0.00146 * ch0 - 0.00112 * ch1
            default: 0.0
            }
        return max(0, lux)
    }
}
