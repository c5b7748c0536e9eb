import SensorKit

/// Addresses, which have two bytes (data sheet, section 6).
enum VL6180XRegister: UInt16 {
    case modelID = 0x000
    case interruptConfiguration = 0x014
    case interruptClear = 0x015
    case freshOutOfReset = 0x016
    case rangeStart = 0x018
    case lightStart = 0x038
    case lightGain = 0x03F
    case lightTime = 0x040
    case rangeStatus = 0x04D
    case lightStatus = 0x04E
    case interruptStatus = 0x04F
    case lightValue = 0x050
    case rangeValue = 0x062

    /// Error, light and range.
    static let clearAll: UInt8 = 0x07

    var bytes: [UInt8] { ByteOrder.bigEndian.bytes(of: rawValue) }
}

/// What RESULT__INTERRUPT_STATUS_GPIO says at an end: 4, in a field of three bits for each.
enum VL6180XReady {
    case rangeReady, lightReady

    func isMet(by status: UInt8) -> Bool {
        switch self {
        case .rangeReady: status & 0b111 == 4
        case .lightReady: status >> 3 & 0b111 == 4
        }
    }
}

/// How ranging ended: RESULT__RANGE_STATUS, bits 7 to 4.
enum VL6180XRangeStatus: Equatable {
    case good
    /// Nothing is there, or too far away, or it is too dark or the light too bright.
    case noTarget(String)
    /// The chip's own tests failed.
    case broken(UInt8)

    init(code: UInt8) {
        self =
            switch code {
            case 0: .good
            case 1...5: .broken(code)
            case 6: .noTarget("early_convergence")
            case 7: .noTarget("max_convergence")
            case 8: .noTarget("ignored")
            case 11: .noTarget("signal_to_noise")
            case 12, 14: .noTarget("underflow")
            case 13, 15: .noTarget("overflow")
            default: .broken(code)
            }
    }

    var isBroken: Bool {
        if case .broken = self { true } else { false }
    }

    var name: String {
        switch self {
        case .good: "good"
        case .noTarget(let why): why
        case .broken(let code): "system_error_\(code)"
        }
    }
}

/// Values without names that ST wants written after each power on (AN4545, "SR03 settings").
enum VL6180XTuning {
    static let settings: [(UInt16, UInt8)] = [
        (0x207, 0x01), (0x208, 0x01), (0x096, 0x00), (0x097, 0xFD), (0x0E3, 0x01), (0x0E4, 0x03), (0x0E5, 0x02),
        (0x0E6, 0x01), (0x0E7, 0x03), (0x0F5, 0x02), (0x0D9, 0x05), (0x0DB, 0xCE), (0x0DC, 0x03), (0x0DD, 0xF8),
        (0x09F, 0x00), (0x0A3, 0x3C), (0x0B7, 0x00), (0x0BB, 0x3C), (0x0B2, 0x09), (0x0CA, 0x09), (0x198, 0x01),
        (0x1B0, 0x17), (0x1AD, 0x00), (0x0FF, 0x05), (0x100, 0x05), (0x199, 0x05), (0x1A6, 0x1B), (0x1AC, 0x3E),
        (0x1A7, 0x1F), (0x030, 0x00),
    ]
}

/// The light sensor's gain and time.
struct VL6180XLight: Equatable {
    private var gainIndex = 0
    private(set) var milliseconds = 100

    /// Gains, and the register's bits 2 to 0 for each (data sheet, SYSALS__ANALOGUE_GAIN).
    private static let gains = [1, 1.25, 1.67, 2.5, 5, 10, 20, 40]
    private static let codes: [UInt8] = [6, 5, 4, 3, 2, 1, 0, 7]

    mutating func setGain(_ reader: DocumentReader) throws(ValidationError) {
        gainIndex = try reader.index(among: Self.gains)
    }

    mutating func setTime(_ reader: DocumentReader) throws(ValidationError) {
        milliseconds = Int(try reader.int(1...500))
    }

    var gain: Double { Self.gains[gainIndex] }
    /// The upper half is to be 4.
    var gainRegister: UInt8 { 0x40 | Self.codes[gainIndex] }
    /// One less than the milliseconds.
    var timeRegister: UInt16 { UInt16(milliseconds - 1) }
    /// Twice as long and some more: the chip reads out as well.
    var maximumDuration: Duration { .milliseconds(milliseconds * 2 + 100) }

    /// Data sheet, "ALS": 0.32 lux for each count with a gain of 1 and 100 ms.
    func lux(_ count: UInt16) -> Double { 0.32 * Double(count) / gain * 100 / Double(milliseconds) }
}
