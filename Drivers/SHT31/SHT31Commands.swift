import SensorKit

/// Commands of 16 bits (data sheet, "Operation and Communication").
enum SHT31Command {
    static let `break`: [UInt8] = [0x30, 0x93]
    static let readStatus: [UInt8] = [0xF3, 0x2D]
    static let heaterOn: [UInt8] = [0x30, 0x6D]
    static let heaterOff: [UInt8] = [0x30, 0x66]

    /// The longest that the chip is busy with a command that is no measurement ("Timing Specifications").
    static let duration = Duration.milliseconds(2)
}

enum SHT31Status {
    static let heater: UInt16 = 1 << 13
    /// Of the reserved bits, those that are always 0: 14, 12, 3, 2. The others, 9 to 5, are not defined.
    static let zeroes: UInt16 = 0b0101_0000_0000_1100
}

/// How much measurements of the same differ: less, the longer one takes.
enum SHT31Repeatability: String, CaseIterable {
    case high, medium, low

    /// Measures once, without clock stretching ("Measurement Commands for Single Shot Data Acquisition Mode").
    var command: [UInt8] {
        switch self {
        case .high: [0x24, 0x00]
        case .medium: [0x24, 0x0B]
        case .low: [0x24, 0x16]
        }
    }

    /// "Timing Specifications", with a supply below 2.4 V, where it takes longest.
    var maximumDuration: Duration {
        switch self {
        case .high: .microseconds(15_500)
        case .medium: .microseconds(6_500)
        case .low: .microseconds(4_500)
        }
    }
}

/// What the chip says comes in words of 16 bits, each with a checksum.
enum SHT31Word {
    /// "Checksum Calculation".
    static let crc = CRC8(polynomial: 0x31, initial: 0xFF)

    static func read(_ count: Int, from chip: I2CDevice) throws(SensorFault) -> [UInt16] {
        let bytes = try chip.read(3 * count)
        var words: [UInt16] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            guard crc.checksum(bytes[start..<start + 2]) == bytes[start + 2] else {
                throw SensorFault(
                    """
                    \(chip.name): \(bytes.map(hexadecimal).joined(separator: " ")) has a wrong checksum: the wires are \
                    disturbed, or it is no SHT31
                    """)
            }
            words.append(bytes.uint16(at: start, .bigEndian))
        }
        return words
    }

    /// "Conversion of Signal Output".
    static func celsius(_ word: UInt16) -> Double { -45 + 175 * Double(word) / 65_535 }

    static func percent(_ word: UInt16) -> Double { 100 * Double(word) / 65_535 }
}
