import SensorKit

/// The nine bytes that a DS18B20 says (data sheet, "Memory").
struct DS18B20Scratchpad: Hashable {
    let bytes: [UInt8]

    /// What the temperature is before the first conversion (data sheet, "Temperature/Data Relationship").
    static let powerOn = 85.0

    /// Reads what the kernel's `w1_slave` says: the nine bytes, then what the kernel makes of them.
    ///
    /// - Throws: `SensorFault` where this is no scratchpad of such a chip.
    init(_ text: String) throws(SensorFault) {
        let words = text.split(separator: " ").prefix { $0 != ":" }
        let bytes = words.compactMap { $0.utf8.count == 2 ? UInt8($0, radix: 16) : nil }
        guard words.count == 9, bytes.count == 9 else {
            throw SensorFault("the kernel says '\(text.prefix(80))' instead of nine bytes")
        }
        try self.init(bytes)
    }

    init(_ bytes: [UInt8]) throws(SensorFault) {
        self.bytes = bytes
        let list = bytes.map(hexadecimal).joined(separator: " ")
        guard oneWireCRC(bytes.dropLast()) == bytes[8] else {
            throw SensorFault("the checksum of what it says is wrong: \(list); is the cable good?")
        }
        // Bits that are always 1, and one that is always 0: a line that is held low has a right checksum, too.
        guard bytes[4] & 0b1001_1111 == 0b0001_1111 else {
            throw SensorFault("it says what a DS18B20 cannot say: \(list); is the line held low?")
        }
    }

    /// In bits, 9 to 12 (data sheet, "Configuration Register").
    var resolution: Int { 9 + Int(bytes[4] >> 5 & 0b11) }

    /// Sixteenths of a degree in two's complement; the lower bits are undefined with a lower resolution (data sheet,
    /// "Operation—Measuring Temperature").
    var celsius: Double {
        let raw = bytes.int16(at: 0, .littleEndian)
        let undefined = Int16(12 - resolution)
        return Double((raw >> undefined) << undefined) / 16
    }
}

/// The checksum of 1-wire chips: x⁸ + x⁵ + x⁴ + 1, lowest bit first (Maxim's application note 27).
func oneWireCRC(_ bytes: some Sequence<UInt8>) -> UInt8 {
    bytes.reduce(0) { crc, byte in
        (0..<8).reduce(crc ^ byte) { crc, _ in crc & 1 == 0 ? crc >> 1 : crc >> 1 ^ 0x8C }
    }
}
