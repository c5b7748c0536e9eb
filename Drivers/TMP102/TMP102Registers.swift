import SensorKit

/// Registers of 16 bits, the upper byte first (data sheet, "Register Maps").
enum TMP102Register {
    static let temperature: UInt8 = 0x00
    static let configuration: UInt8 = 0x01
}

/// The configuration register.
enum TMP102Configuration {
    /// Shutdown (SD) and 13 bits (EM), with a conversion started (OS). The rate, CR1 and CR0, is that of the power-up.
    static let oneShot: UInt16 = 0b1000_0001_1001_0000
    static let isDone: UInt16 = 1 << 15
    /// All but OS, and AL, which tells of an alert.
    static let keptBits: UInt16 = 0b0111_1111_1101_1111
    /// R1 and R0 always read 1.
    static let kept: UInt16 = oneShot & keptBits | 0b0110_0000_0000_0000
}

enum TMP102Temperature {
    /// 13 bits in two's complement, the uppermost ones of the register, in 0.0625 °C (data sheet, "Temperature
    /// Register", extended mode).
    static func celsius(_ register: UInt16) -> Double {
        Double(Int16(bitPattern: register) >> 3) * 0.0625
    }
}
