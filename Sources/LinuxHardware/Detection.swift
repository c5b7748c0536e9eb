import CHardware
import Glibc
public import SensorKit

/// What this machine has: GPIO chips and their lines, I2C buses and the addresses that answer, sensors of the kernel's.
public struct Detection {
    /// `{"gpio": [chip], "i2c": [bus], "kernel": [device], "sensors": [instance], "faults": [text]}`. The `sensors` are
    /// entries for a sensorInstance.json, of the drivers that could be for what answers.
    public private(set) var json: JSON
    private var faults: [String] = []
    private var sensors: [JSON] = []

    /// Addresses outside are reserved (NXP, UM10204, 3.1.12).
    private static let addresses: ClosedRange<UInt8> = 0x08...0x77

    /// Asks every address of every I2C bus for an answer, as i2cdetect does: it is not known of every chip that it does
    /// not mind.
    ///
    /// - Parameter drivers: those that could be for a chip.
    public init(drivers: [any Driver.Type]) {
        json = .null
        let gpio = gpioChips()
        let i2c = I2CAdapter.all.map { bus($0, drivers) }
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

    private mutating func bus(_ adapter: I2CAdapter, _ drivers: [any Driver.Type]) -> JSON {
        var chips: [JSON] = []
        do throws(SensorFault) {
            let descriptor = try DeviceNode.open(adapter.path)
            defer { close(descriptor) }
            for address in Self.addresses {
                let kernelDriver = adapter.kernelDriver(at: address)
                guard kernelDriver != nil || sh_i2c_probe(descriptor, address) == 0 else {
                    // A bus that hangs would do so at each address.
                    if errno == ETIMEDOUT {
                        throw SensorFault("\(adapter.path): a transfer did not end: something holds the bus")
                    }
                    continue
                }
                var names: [String] = []
                if kernelDriver == nil {
                    names = drivers.filter { $0.i2cAddresses.contains(address) }.map { $0.name }
                    sensors += names.map { entry(driver: $0, adapter, address) }
                }
                chips.append([
                    "address": .string(hexadecimal(address)), "kernel_driver": kernelDriver.map(JSON.string) ?? .null,
                    "drivers": .array(names.map(JSON.string)),
                ])
            }
        } catch {
            faults.append(error.reason)
        }
        return ["bus": .int(Int64(adapter.number)), "name": .string(adapter.name), "chips": .array(chips)]
    }

    private func entry(driver: String, _ adapter: I2CAdapter, _ address: UInt8) -> JSON {
        let digits = hexadecimal(address)
        return [
            "name": .string("\(driver)-\(adapter.number)-\(digits.dropFirst(2))"), "sensor_type": .string(driver),
            "driver": .string(driver), "i2c": .int(Int64(adapter.number)), "i2c_address": .string(digits),
        ]
    }

    /// For people.
    public var text: String {
        var lines: [String] = []
        func words(_ json: JSON?) -> String { json?.string ?? "" }
        for chip in json["gpio"]?.array ?? [] {
            let all = chip["lines"]?.array ?? []
            lines.append("GPIO \(words(chip["chip"])) '\(words(chip["label"]))', \(all.count) lines")
            for line in all where line["name"]?.string != "" || line["used"]?.bool == true {
                let holder = words(line["consumer"])
                let use = line["used"]?.bool == true ? ", in use\(holder.isEmpty ? "" : " by '\(holder)'")" : ""
                lines.append("  \(line["offset"]?.int ?? 0) \(words(line["name"])): \(words(line["direction"]))\(use)")
            }
        }
        for bus in json["i2c"]?.array ?? [] {
            lines.append("I2C bus \(bus["bus"]?.int ?? 0) '\(words(bus["name"]))'")
            for chip in bus["chips"]?.array ?? [] {
                let names = (chip["drivers"]?.array ?? []).map(words).joined(separator: ", ")
                let use =
                    chip["kernel_driver"]?.string.map { "the kernel's driver '\($0)' has it" }
                    ?? "answers; \(names.isEmpty ? "no driver is known" : "drivers: \(names)")"
                lines.append("  \(words(chip["address"])): \(use)")
            }
        }
        for device in json["kernel"]?.array ?? [] {
            lines.append("\(words(device["subsystem"])) \(words(device["device"])) (\(words(device["name"])))")
        }
        let sensors = (json["sensors"]?.array ?? []).map { "  \($0)" }
        if !sensors.isEmpty { lines += ["For sensorInstance.json:", "[", sensors.joined(separator: ",\n"), "]"] }
        lines += (json["faults"]?.array ?? []).map(words)
        return lines.isEmpty ? "neither GPIO nor I2C nor sensors of the kernel's" : lines.joined(separator: "\n")
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
