/// One message of an I2C transfer.
public enum I2CMessage: Sendable, Hashable {
    case write([UInt8])
    /// So many bytes.
    case read(Int)
}

/// Why a transfer failed.
public struct I2CError: Error, Hashable {
    public enum Code: Sendable, Hashable {
        /// Nobody acknowledges the address, or the chip does not acknowledge a byte.
        case noAnswer
        /// The transfer did not end in time: somebody holds a line of the bus down.
        case timeout
        /// Another master has the bus.
        case busy
        /// The bus is gone, as an adapter on USB that was pulled out.
        case gone
        /// The adapter cannot do such a transfer.
        case notSupported
        case other
    }

    public let code: Code
    /// For people: what it was.
    public let reason: String

    public init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }
}

/// An I2C bus. A transfer is one transaction: its messages follow each other with repeated starts, and nobody else's
/// come in between, whichever process they are from. Between two transfers there may be others'.
public protocol I2CBus: AnyObject {
    /// For people: `I2C bus 1 'bcm2835 (i2c@7e804000)'`.
    var name: String { get }

    /// - Parameters:
    ///   - messages: at least one, at most 42.
    ///   - address: of 7 bits.
    /// - Returns: the bytes of all messages that read, one after the other.
    func transfer(_ messages: [I2CMessage], to address: UInt8) throws(I2CError) -> [UInt8]

    /// The driver of the kernel that has the chip at this address; nil where none has.
    func kernelDriver(at address: UInt8) -> String?
}

/// Which I2C bus a sensor is at, as the attribute `i2c` says.
public enum I2CBusReference: Sendable, Hashable, CustomStringConvertible {
    /// `/dev/i2c-N`.
    case number(Int)
    case path(String)
    /// What the kernel calls the adapter, as `bcm2835 (i2c@7e804000)`: numbers change with what is plugged in.
    case adapter(String)
    /// Two GPIO lines and a program that does what a bus's hardware would.
    case lines(BitBangedBusSettings)

    /// Reads `1`, `"/dev/i2c-1"`, `"bcm2835 (i2c@7e804000)"` or `{"sda": line, "scl": line}`.
    public init(_ reader: DocumentReader) throws(ValidationError) {
        if reader.value.object != nil {
            self = .lines(try BitBangedBusSettings(reader))
        } else if let text = reader.value.string {
            guard !text.isEmpty else { throw reader.error("must not be empty") }
            self = text.hasPrefix("/") ? .path(text) : .adapter(try reader.string())
        } else {
            guard reader.value.int != nil else {
                throw reader.error(
                    """
                    expected the number of a bus, the path or the name of its adapter, or {"sda": line, "scl": line}, \
                    found \(reader.value.kind)
                    """)
            }
            self = .number(Int(try reader.int(0...65_535)))
        }
    }

    public var description: String {
        switch self {
        case .number(let number): "I2C bus \(number)"
        case .path(let path): path
        case .adapter(let name): "I2C bus '\(name)'"
        case .lines(let settings): "I2C bus at lines \(settings.sda) and \(settings.scl)"
        }
    }
}
