/// An eight-bit checksum, which chips send along with what they measured: the highest bit first, nothing reflected.
struct CRC8 {
    /// Without its highest term: 0x31 is x⁸ + x⁵ + x⁴ + 1.
    let polynomial: UInt8
    let initial: UInt8

    func checksum(_ bytes: some Sequence<UInt8>) -> UInt8 {
        var remainder = initial
        for byte in bytes {
            remainder ^= byte
            for _ in 0..<8 {
                remainder = remainder & 0x80 == 0 ? remainder << 1 : remainder << 1 ^ polynomial
            }
        }
        return remainder
    }
}
