/// How `sensorhub detect` finds out whether what answers at an address of an I2C bus is a driver's chip.
public enum I2CIdentity: Sendable {
    /// It cannot: the chip has no register that says what it is. Being asked for another chip's does it no harm.
    case unknown

    /// A register of one byte, and whether its value is that of such a chip. The register's number is written, and a
    /// byte is read after a repeated start.
    case register(UInt8, isRight: @Sendable (UInt8) -> Bool)

    /// Any byte that is written does something, as to set outputs: nobody is asked at an address where such a chip can be.
    case disturbedByBytes
}
