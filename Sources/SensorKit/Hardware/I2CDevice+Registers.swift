/// Chips whose registers have an address of one byte.
extension I2CDevice {
    /// So many registers from `register` on, in one transfer: what a chip measured at one moment stays together.
    public func registers(_ register: UInt8, count: Int) throws(SensorFault) -> [UInt8] {
        try writeRead([register], count: count)
    }

    public func register8(_ register: UInt8) throws(SensorFault) -> UInt8 {
        try writeRead([register], count: 1)[0]
    }

    public func register16(_ register: UInt8, _ order: ByteOrder) throws(SensorFault) -> UInt16 {
        try writeRead([register], count: 2).uint16(at: 0, order)
    }

    public func registerSigned16(_ register: UInt8, _ order: ByteOrder) throws(SensorFault) -> Int16 {
        Int16(bitPattern: try register16(register, order))
    }

    public func setRegister8(_ register: UInt8, to value: UInt8) throws(SensorFault) {
        try write([register, value])
    }

    public func setRegister16(_ register: UInt8, to value: UInt16, _ order: ByteOrder) throws(SensorFault) {
        try write([register] + order.bytes(of: value))
    }
}

/// Which byte of a number comes first.
public enum ByteOrder: Sendable, Hashable {
    /// The most significant one.
    case bigEndian
    case littleEndian

    public func bytes(of value: UInt16) -> [UInt8] {
        let high = UInt8(value >> 8), low = UInt8(truncatingIfNeeded: value)
        return self == .bigEndian ? [high, low] : [low, high]
    }
}

extension RandomAccessCollection where Element == UInt8, Index == Int {
    /// The number in the two bytes from `offset` on, counted from the beginning.
    public func uint16(at offset: Int, _ order: ByteOrder) -> UInt16 {
        let first = UInt16(self[startIndex + offset]), second = UInt16(self[startIndex + offset + 1])
        return order == .bigEndian ? first << 8 | second : second << 8 | first
    }

    public func int16(at offset: Int, _ order: ByteOrder) -> Int16 {
        Int16(bitPattern: uint16(at: offset, order))
    }

    /// The number in three bytes.
    public func uint24(at offset: Int, _ order: ByteOrder) -> UInt32 {
        let bytes = (0..<3).map { UInt32(self[startIndex + offset + $0]) }
        return order == .bigEndian
            ? bytes[0] << 16 | bytes[1] << 8 | bytes[2] : bytes[2] << 16 | bytes[1] << 8 | bytes[0]
    }
}
