import SensorKit

/// Registers of the LM75 (data sheet, "Internal Register Structure").
enum LM75Register {
    static let temperature: UInt8 = 0
    /// One byte.
    static let configuration: UInt8 = 1
}

enum LM75Configuration {
    static let shutdown: UInt8 = 0x01
    /// The longest that the slowest of these chips takes: LM75, "Temperature Conversion Time", and TMP75 with 12 bits.
    static let conversion = Duration.milliseconds(300)
}

/// Chips with the LM75's registers differ in how many bits of the temperature mean something.
enum LM75Variant: String, CaseIterable {
    /// LM75 and LM75A of National and TI, DS75 and others as they are at power-up: 9 bits, 0.5 °C.
    case lm75
    /// NXP's LM75B, and its LM75A: 11 bits, 0.125 °C.
    case lm75b
    /// TI's TMP75, TMP175, TMP275: 12 bits, 0.0625 °C.
    case tmp75

    var bits: Int {
        switch self {
        case .lm75: 9
        case .lm75b: 11
        case .tmp75: 12
        }
    }

    /// All as at power-up, but for the TMP75's 12 bits, R1 and R0.
    var configuration: UInt8 { self == .tmp75 ? 0x60 : 0 }

    /// The uppermost `bits` of the register in two's complement; the first eight are whole degrees. What the lower ones
    /// are is not defined.
    func celsius(_ register: UInt16) -> Double {
        let unused = 16 - bits
        return Double((Int16(bitPattern: register) >> unused) << unused) / 256
    }
}
