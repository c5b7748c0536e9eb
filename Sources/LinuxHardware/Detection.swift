import CHardware
import Glibc
public import SensorKit

/// What this machine has: GPIO chips and their lines, I2C buses and the addresses that answer, sensors of the kernel's.
///
/// GPIO chips and the kernel's sensors are told of without touching them: no line is taken, no sensor is read. Whether
/// somebody is at an address of an I2C bus can only be found out by addressing him; `I2CScan` says how far that goes.
public struct Detection {
    /// `{"gpio": [chip], "i2c": [bus], "kernel": [device], "sensors": [instance], "faults": [text]}`. The `sensors` are
    /// entries for a sensorInstance.json, of the drivers that could be for what answers.
    public private(set) var json: JSON
    private let drivers: [any Driver.Type]
    private let options: DetectionOptions
    private var faults: [String] = []
    private var sensors: [JSON] = []

    /// - Parameter drivers: those that could be for a chip.
    public init(drivers: [any Driver.Type], _ options: DetectionOptions = DetectionOptions()) {
        json = .null
        self.drivers = drivers
        self.options = options
        let gpio = gpioChips()
        let adapters = I2CAdapter.all.filter { options.bus == nil || $0.number == options.bus }
        if let number = options.bus, adapters.isEmpty {
            do throws(SensorFault) { _ = try I2CAdapter.find(number) } catch { faults.append(error.reason) }
        }
        let i2c = adapters.map { bus($0) }
        let kernel = KernelDevices.Subsystem.allCases.flatMap { subsystem in
            KernelDevices().all(subsystem).map { device -> JSON in
                [
                    "subsystem": .string(subsystem.rawValue), "device": .string(device.entry),
                    "name": .string(device.name),
                ]
            }
        }
        json = [
            "gpio": .array(gpio), "i2c": .array(i2c), "kernel": .array(kernel), "sensors": .array(sensors),
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
            chips.append(chip(at: address, kernelDriver: driver, drivers: []))
        }
        do throws(SensorFault) {
            for address in try scan.answering(on: adapter) {
                let names = drivers.filter { $0.i2cAddresses.contains(address) }.map { $0.name }
                sensors += names.map { entry(driver: $0, adapter, address) }
                chips.append(chip(at: address, kernelDriver: nil, drivers: names))
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

    private func chip(at address: UInt8, kernelDriver: String?, drivers: [String]) -> JSON {
        [
            "address": .string(hexadecimal(address)), "kernel_driver": kernelDriver.map(JSON.string) ?? .null,
            "drivers": .array(drivers.map(JSON.string)),
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

    public init(bus: Int? = nil, asksEveryAddress: Bool = false) {
        self.bus = bus
        self.asksEveryAddress = asksEveryAddress
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
