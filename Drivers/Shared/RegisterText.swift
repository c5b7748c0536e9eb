import SensorKit

/// A register of 16 bits as its bytes, the upper one first, for people: `0x60 0xA0`.
func hexadecimalBytes(_ register: UInt16) -> String {
    ByteOrder.bigEndian.bytes(of: register).map(hexadecimal).joined(separator: " ")
}
