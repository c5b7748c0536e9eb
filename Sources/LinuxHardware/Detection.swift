import CHardware
import Glibc
public import SensorKit

/// What this machine has: GPIO chips and their lines, I2C buses and the addresses that answer, sensors of the kernel's.
///
/// GPIO chips and the kernel's sensors are told of without touching them: no line is taken, no sensor is read. Whether
/// somebody is at an address of an I2C bus can only be found out by addressing him, and who it is by asking;
/// `I2CScan` and `I2CIdentification` say how far that goes.
public struct Detection {
    /// `{"gpio": [chip], "i2c": [bus], "kernel": [device], "sensors": [instance], "sensor_type_list": [type], "faults":
    /// [text]}`. The `sensors` are entries for a sensorInstance.json, of the drivers that could be for what is there;
    /// `sensor_type_list` has the types among theirs that no driver comes with.
    public private(set) var json: JSON
    private let drivers: [any Driver.Type]
    private let options: DetectionOptions
    private var faults: [String] = []
    private var sensors: [JSON] = []

    /// - Parameters:
    ///   - drivers: those that could be for a chip.
    ///   - kernel: where the kernel's own sensors are.
    public init(
        drivers: [any Driver.Type], _ options: DetectionOptions = DetectionOptions(),
        kernel: KernelDevices = KernelDevices()
    ) {
        json = .null
        self.drivers = drivers
        self.options = options
        let gpio = gpioChips()
        let adapters = I2CAdapter.all.filter { options.bus == nil || $0.number == options.bus }
        if let number = options.bus, adapters.isEmpty {
            do throws(SensorFault) { _ = try I2CAdapter.find(number) } catch { faults.append(error.reason) }
        }
        let i2c = adapters.map { bus($0) }
        let proposals = KernelProposals(kernel, drivers)
        json = [
            "gpio": .array(gpio), "i2c": .array(i2c), "kernel": .array(proposals.devices),
            "sensors": .array(sensors + proposals.sensors), "sensor_type_list": .array(proposals.types),
            "faults": .array(faults.map(JSON.string)),
        ]
    }

    private mutating func gpioChips() -> [JSON] {
        var result: [JSON] = []
        for path in GPIOChip.paths {
            do throws(SensorFault) {
                let chip = try GPIOChip(path)
                var lines: [JSON] = []
                for offset in 0..<chip.lineCount { lines.append(try chip.line(offset).json) }
                result.append(["chip": .string(chip.name), "label": .string(chip.label), "lines": .array(lines)])
            } catch {
                faults.append(error.reason)
            }
        }
        return result
    }

    private mutating func bus(_ adapter: I2CAdapter) -> JSON {
        let scan = I2CScan(of: adapter, options, drivers)
        var chips: [JSON] = []
        // What the kernel's drivers have is known without asking.
        for address in I2CScan.addresses {
            guard let driver = adapter.kernelDriver(at: address) else { continue }
            chips.append(chip(at: address, kernelDriver: driver))
        }
        do throws(SensorFault) {
            let answering = try scan.answering(on: adapter)
            for (address, identification) in try identify(answering, on: adapter) {
                sensors += identification.drivers.map { entry(driver: $0, adapter, address) }
                chips.append(chip(at: address, identification))
            }
        } catch {
            faults.append(error.reason)
        }
        chips.sort { ($0["address"]?.string ?? "") < ($1["address"]?.string ?? "") }
        return [
            "bus": .int(Int64(adapter.number)), "name": .string(adapter.name), "scan": .string(scan.extent.rawValue),
            "reason": scan.reason.map(JSON.string) ?? .null, "chips": .array(chips),
        ]
    }

    private func identify(
        _ addresses: [UInt8], on adapter: I2CAdapter
    ) throws(SensorFault) -> [(UInt8, I2CIdentification)] {
        guard !addresses.isEmpty else { return [] }
        let bus = try KernelI2CBus(adapter)
        var result: [(UInt8, I2CIdentification)] = []
        for address in addresses {
            do throws(I2CError) {
                result.append(
                    (address, try I2CIdentification(at: address, of: bus, drivers, asks: options.identifies)))
            } catch {
                throw SensorFault("\(adapter.path): reading the id of \(hexadecimal(address)) failed: \(error.reason)")
            }
        }
        return result
    }

    private func chip(
        at address: UInt8, _ identification: I2CIdentification? = nil, kernelDriver: String? = nil
    ) -> JSON {
        [
            "address": .string(hexadecimal(address)), "kernel_driver": kernelDriver.map(JSON.string) ?? .null,
            "drivers": .array((identification?.drivers ?? []).map(JSON.string)),
            "identified": .bool(identification?.isCertain ?? false),
        ]
    }

    private func entry(driver: String, _ adapter: I2CAdapter, _ address: UInt8) -> JSON {
        let digits = hexadecimal(address)
        return [
            "name": .string("\(driver)-\(adapter.number)-\(digits.dropFirst(2))"), "sensor_type": .string(driver),
            "driver": .string(driver), "i2c": .int(Int64(adapter.number)), "i2c_address": .string(digits),
        ]
    }
}

/// How far a detection goes.
public struct DetectionOptions: Sendable, Hashable {
    /// The only I2C bus to look at; nil for all.
    public var bus: Int?
    /// Every address of a bus is asked, and not just those that are likely and safe.
    public var asksEveryAddress: Bool
    /// Chips that answer are asked what they are, where our drivers' chips at the address can be asked without harm.
    public var identifies: Bool

    public init(bus: Int? = nil, asksEveryAddress: Bool = false, identifies: Bool = true) {
        self.bus = bus
        self.asksEveryAddress = asksEveryAddress
        self.identifies = identifies
    }
}

extension GPIOChip.Line {
    fileprivate var json: JSON {
        [
            "offset": .int(Int64(offset)), "name": .string(name), "used": .bool(isUsed), "consumer": .string(consumer),
            "direction": .string(isOutput ? "output" : "input"),
        ]
    }
}
