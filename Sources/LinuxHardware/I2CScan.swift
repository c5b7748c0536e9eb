import CHardware
import Glibc
import SensorKit

/// Which addresses of a bus are asked whether somebody is there.
///
/// There is no question that every chip takes without harm. A message without bytes, which is what is mostly sent, has
/// made EEPROMs write; a read takes a byte from chips that count what was read, and makes some clock generators stop. So
/// what is asked unless everything is wanted are the addresses that a driver's chip could have, without those where such
/// chips live, and no bus of a mainboard (memory modules, voltage regulators) or of a graphics card (monitors).
struct I2CScan {
    enum Extent: String {
        /// Nobody is asked.
        case none
        /// Addresses that chips of our drivers can have, without the ranges that are left out.
        case known
        /// All that are not reserved.
        case all
    }

    let extent: Extent
    /// Why nobody is asked.
    let reason: String?
    private let asked: [UInt8]

    /// Addresses outside are reserved (NXP, UM10204, 3.1.12).
    static let addresses: ClosedRange<UInt8> = 0x08...0x77
    /// Monitors' controls, EEPROMs' write protection and pages, and EEPROMs.
    private static let delicate: [ClosedRange<UInt8>] = [0x30...0x37, 0x50...0x5F]

    init(of adapter: I2CAdapter, _ options: DetectionOptions, _ drivers: [any Driver.Type]) {
        if options.asksEveryAddress {
            (extent, reason, asked) = (.all, nil, Array(Self.addresses))
        } else if options.bus == nil, let owner = adapter.delicateOwner {
            (extent, reason, asked) = (.none, "it is \(owner)", [])
        } else {
            let known = Set(drivers.flatMap { $0.i2cAddresses })
            asked = Self.addresses.filter { address in
                known.contains(address) && !Self.delicate.contains { $0.contains(address) }
            }
            (extent, reason) = (.known, nil)
        }
    }

    /// The addresses of those who answer, without those that the kernel's drivers have.
    func answering(on adapter: I2CAdapter) throws(SensorFault) -> [UInt8] {
        guard !asked.isEmpty else { return [] }
        let descriptor = try DeviceNode.open(adapter.path)
        defer { close(descriptor) }
        var found: [UInt8] = []
        for address in asked where adapter.kernelDriver(at: address) == nil {
            if sh_i2c_probe(descriptor, address) == 0 {
                found.append(address)
            } else if errno == ETIMEDOUT {
                // A bus that hangs would do so at each address.
                throw SensorFault(
                    "\(adapter.path): a transfer to \(hexadecimal(address)) did not end: something holds the bus")
            } else if errno == EOPNOTSUPP {
                throw SensorFault("\(adapter.path): the adapter cannot ask whether a chip is there")
            }
        }
        return found
    }
}

extension I2CAdapter {
    /// Whose bus it is, where strange questions could do harm: found by the class of the PCI device that it is of
    /// (PCI Code and ID Assignment Specification: 03 is a display controller, 0C 05 a serial bus controller for SMBus).
    fileprivate var delicateOwner: String? {
        guard let resolved = realpath("/sys/class/i2c-dev/i2c-\(number)/device", nil) else { return nil }
        defer { free(resolved) }
        var folder = String(cString: resolved)
        while folder.hasPrefix("/sys/devices/"), let slash = folder.lastIndex(of: "/") {
            if let code = try? File.text(of: "\(folder)/class", limit: 64) {
                if code.hasPrefix("0x03") { return "a graphics card's" }
                if code.hasPrefix("0x0c05") { return "the mainboard's" }
            }
            folder = String(folder[..<slash])
        }
        return nil
    }
}
