/// A chip at an address of an I2C bus. It opens the bus when it is first used, and anew after the bus was gone, so that a
/// driver can be made before its chip is plugged in.
///
/// Several drivers on one bus is the ordinary case: a transfer (`write`, `read`, `writeRead`) is never mixed with
/// another's. Two transfers can have others between them, also to the same chip where somebody else uses it.
public final class I2CDevice {
    public let bus: I2CBusReference
    public let address: UInt8
    private let hardware: any Hardware
    private let user: String
    private var opened: (any I2CBus)?

    /// Transfers that fail because another master has the bus, or because nobody answers, are tried so often.
    private static let attempts = 3
    private static let pauseBetweenAttempts = Duration.milliseconds(1)

    /// The names of the attributes that say where a chip is.
    public static let attributes = ["i2c", "i2c_address"]

    public init(_ bus: I2CBusReference, address: UInt8, hardware: any Hardware, user: String) {
        self.bus = bus
        self.address = address
        self.hardware = hardware
        self.user = user
    }

    /// Reads the attributes `i2c`, the bus, and `i2c_address`: a number or text as `"0x23"`.
    ///
    /// - Parameter addresses: those that the chip can be set to; the first is what it has where the attribute is missing.
    public convenience init(_ context: DriverContext, addresses: [UInt8]) throws(ValidationError) {
        let bus = try I2CBusReference(try context.attributes.required("i2c"))
        var address = addresses[0]
        if let reader = try context.attributes.optional("i2c_address") {
            address = try Self.address(reader)
            guard addresses.contains(address) else {
                let possible = addresses.map(hexadecimal).joined(separator: ", ")
                throw reader.error("\(hexadecimal(address)) is no address that this chip can have: \(possible)")
            }
        }
        self.init(bus, address: address, hardware: context.hardware, user: "sensorhub \(context.instance)")
    }

    private static func address(_ reader: DocumentReader) throws(ValidationError) -> UInt8 {
        if let text = reader.value.string {
            guard text.hasPrefix("0x"), let address = UInt8(text.dropFirst(2), radix: 16), address < 0x80 else {
                throw reader.error("'\(text.prefix(80))' is no I2C address: expected one as \"0x23\"")
            }
            return address
        }
        return UInt8(try reader.int(0...127))
    }

    /// For people: `address 0x23 of I2C bus 1 'bcm2835'`.
    public var name: String { "address \(hexadecimal(address)) of \(opened?.name ?? bus.description)" }

    // MARK: Transfers

    public func write(_ bytes: [UInt8]) throws(SensorFault) {
        _ = try transfer([.write(bytes)])
    }

    public func read(_ count: Int) throws(SensorFault) -> [UInt8] {
        try transfer([.read(count)])
    }

    /// Writes, then reads after a repeated start: how most chips have their registers read.
    public func writeRead(_ bytes: [UInt8], count: Int) throws(SensorFault) -> [UInt8] {
        try transfer([.write(bytes), .read(count)])
    }

    /// As `transfer`, but nil where the chip does not acknowledge, which is how some say that they are not ready yet.
    public func transferIfAnswered(_ messages: [I2CMessage]) throws(SensorFault) -> [UInt8]? {
        let bus = try open()
        do throws(I2CError) {
            return try attempt(messages, on: bus, retriesNoAnswer: false)
        } catch {
            if error.code == .noAnswer { return nil }
            throw fault(error)
        }
    }

    /// - Returns: the bytes of all messages that read, one after the other.
    public func transfer(_ messages: [I2CMessage]) throws(SensorFault) -> [UInt8] {
        let bus = try open()
        do throws(I2CError) {
            return try attempt(messages, on: bus, retriesNoAnswer: true)
        } catch {
            throw fault(error)
        }
    }

    private func attempt(
        _ messages: [I2CMessage], on bus: any I2CBus, retriesNoAnswer: Bool
    ) throws(I2CError) -> [UInt8] {
        var attempt = 1
        while true {
            do throws(I2CError) {
                return try bus.transfer(messages, to: address)
            } catch {
                let isWorthIt = error.code == .busy || error.code == .noAnswer && retriesNoAnswer
                guard isWorthIt, attempt < Self.attempts else { throw error }
            }
            pause(Self.pauseBetweenAttempts * attempt)
            attempt += 1
        }
    }

    private func open() throws(SensorFault) -> any I2CBus {
        if let opened { return opened }
        let bus = try hardware.openI2C(bus, user: user)
        if let driver = bus.kernelDriver(at: address) {
            throw SensorFault(
                """
                the kernel's driver '\(driver)' has the chip at address \(hexadecimal(address)) of \(bus.name): read it \
                through the kernel, or take the chip from that driver
                """)
        }
        opened = bus
        return bus
    }

    private func fault(_ error: I2CError) -> SensorFault {
        let name = name
        // A bus that is gone may come back, under another number even.
        if error.code == .gone { opened = nil }
        switch error.code {
        case .noAnswer:
            return SensorFault("no answer from \(name): is the chip connected, and is that its address?")
        case .timeout:
            return SensorFault("\(name): the transfer did not end (\(error.reason)): something holds the bus")
        case .busy: return SensorFault("\(name): the bus is busy (\(error.reason))")
        case .gone: return SensorFault("\(name): the bus is gone (\(error.reason))")
        case .notSupported, .other: return SensorFault("\(name): \(error.reason)")
        }
    }
}

/// `0x0A`, as data sheets write a byte.
public func hexadecimal(_ byte: UInt8) -> String {
    let digits = String(byte, radix: 16, uppercase: true)
    return "0x" + (digits.count == 1 ? "0" : "") + digits
}
