import CHardware
import Glibc
import SensorKit

/// `/dev/i2c-N`. A transfer is one I2C_RDWR, which the kernel carries out in one go, whoever else uses the bus. An adapter
/// that knows SMBus transactions only is used through those.
final class KernelI2CBus: I2CBus {
    private let adapter: I2CAdapter
    private let descriptor: Int32
    private let isRaw: Bool

    private static let maximumMessages = 42
    /// The kernel's own limit for a message.
    private static let maximumBytes = 8_192

    init(_ adapter: I2CAdapter) throws(SensorFault) {
        self.adapter = adapter
        let descriptor = try DeviceNode.open(adapter.path)
        self.descriptor = descriptor
        var isRaw: Int32 = 0
        guard sh_i2c_is_raw(descriptor, &isRaw) == 0 else {
            let code = errno
            close(descriptor)
            throw SensorFault(FileError(adapter.path, code).description)
        }
        self.isRaw = isRaw != 0
    }

    deinit {
        close(descriptor)
    }

    var name: String { "I2C bus \(adapter.number) '\(adapter.name)'" }

    func kernelDriver(at address: UInt8) -> String? { adapter.kernelDriver(at: address) }

    func transfer(_ messages: [I2CMessage], to address: UInt8) throws(I2CError) -> [UInt8] {
        let counts = messages.map(\.count)
        guard (1...Self.maximumMessages).contains(messages.count), counts.allSatisfy({ $0 <= Self.maximumBytes }) else {
            throw I2CError(.notSupported, "\(messages.count) messages of \(counts) bytes are too many for one transfer")
        }
        // All bytes one after the other, written and read.
        var bytes: [UInt8] = []
        for message in messages {
            switch message {
            case .write(let given): bytes += given
            case .read(let count): bytes += [UInt8](repeating: 0, count: count)
            }
        }
        let code = bytes.withUnsafeMutableBufferPointer { buffer in
            var next = buffer.baseAddress
            let list = messages.map { message in
                defer { next = next.map { $0 + message.count } }
                return sh_i2c_message(bytes: next, count: UInt16(message.count), is_read: message.isRead ? 1 : 0)
            }
            let result =
                isRaw
                ? sh_i2c_transfer(descriptor, address, list, list.count)
                : sh_i2c_smbus_transfer(descriptor, address, list, list.count)
            return result == 0 ? 0 : errno
        }
        if code != 0 { throw error(code) }
        var read: [UInt8] = []
        var start = 0
        for message in messages {
            if message.isRead { read += bytes[start..<start + message.count] }
            start += message.count
        }
        return read
    }

    /// What adapters' drivers say is told in Documentation/i2c/fault-codes.rst of Linux, and not all keep to it.
    private func error(_ code: Int32) -> I2CError {
        let text = String(cString: strerror(code))
        switch code {
        case EREMOTEIO: return I2CError(.noAnswer, text)
        // Of no device at the address, say most; of an adapter that is gone, say those that can be.
        case ENXIO, ENODEV:
            return I2CError(File.exists(adapter.path) && isStillThere ? .noAnswer : .gone, text)
        case ETIMEDOUT: return I2CError(.timeout, text)
        case EAGAIN: return I2CError(.busy, "another master has won the bus")
        case EBUSY: return I2CError(.busy, "a driver of the kernel has the chip")
        case EOPNOTSUPP:
            return I2CError(
                .notSupported,
                isRaw
                    ? "the adapter cannot do this transfer"
                    : "the adapter knows SMBus transactions only, and there is none for this transfer")
        default: return I2CError(.other, text)
        }
    }

    /// The bus of this number is the one that was opened.
    private var isStillThere: Bool { I2CAdapter.all.contains(adapter) }
}

extension I2CMessage {
    var count: Int {
        switch self {
        case .write(let bytes): bytes.count
        case .read(let count): count
        }
    }

    var isRead: Bool {
        if case .read = self { true } else { false }
    }
}
