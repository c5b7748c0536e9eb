/// Sensors for which the kernel has a driver of its own, as it shows them under /sys: IIO (`/sys/bus/iio`), hwmon
/// (`/sys/class/hwmon`) and 1-wire (`/sys/bus/w1`).
public struct KernelDevices: Sendable {
    /// Stands before /sys; for tests.
    private let root: String

    public init(root: String = "") {
        self.root = root
    }

    public enum Subsystem: String, Sendable, Hashable, CaseIterable {
        case iio = "IIO"
        case hwmon
        case oneWire = "1-wire"

        fileprivate var folder: String {
            switch self {
            case .iio: "/sys/bus/iio/devices"
            case .hwmon: "/sys/class/hwmon"
            case .oneWire: "/sys/bus/w1/devices"
            }
        }

        /// Other things are there as well: triggers, bus masters.
        fileprivate func isDevice(_ entry: String) -> Bool {
            switch self {
            case .iio: entry.hasPrefix("iio:device")
            case .hwmon: entry.hasPrefix("hwmon")
            // The family of the chip in two digits, and its serial number.
            case .oneWire: entry.utf8.count == 15 && entry.dropFirst(2).first == "-"
            }
        }
    }

    /// All that there are, in the order of their folders' names.
    public func all(_ subsystem: Subsystem) -> [KernelDevice] {
        let folder = root + subsystem.folder
        return ((try? Folder.names(in: folder)) ?? []).filter(subsystem.isDevice).map { entry in
            KernelDevice(subsystem: subsystem, entry: entry, path: "\(folder)/\(entry)")
        }
    }

    /// The device that `text` stands for: its name as the kernel's driver has it (`bh1750`), the name of its folder
    /// (`iio:device0`, `28-00000a1b2c3d`), or that of the thing that it is of (`1-0023` for an I2C chip).
    public func find(_ text: String, in subsystem: Subsystem) throws(SensorFault) -> KernelDevice {
        let all = all(subsystem)
        if let exact = all.first(where: { $0.entry == text }) { return exact }
        let matches = all.filter { $0.name == text || $0.thing == text }
        if matches.count == 1 { return matches[0] }
        let list = (matches.isEmpty ? all : matches).map { "\($0.entry) (\($0.name))" }.prefix(20)
        guard matches.isEmpty else {
            throw SensorFault(
                "'\(text)' stands for \(matches.count) \(subsystem.rawValue) devices: \(list.joined(separator: ", "))")
        }
        throw SensorFault(
            "there is no \(subsystem.rawValue) device '\(text)'"
                + (all.isEmpty ? ", nor any other" : "; there are: \(list.joined(separator: ", "))")
                + didYouMean(text, among: all.map(\.name)))
    }
}

/// One of them.
public struct KernelDevice: Sendable, Hashable {
    public let subsystem: KernelDevices.Subsystem
    /// The name of its folder.
    public let entry: String
    /// The folder.
    public let path: String

    private static let maximumBytes = 4_096

    /// What the driver calls it; empty where it does not say.
    public var name: String { (try? text("name")) ?? "" }

    /// The names of its files, sorted.
    public func files() throws(SensorFault) -> [String] {
        do throws(FileError) {
            return try Folder.names(in: path)
        } catch {
            throw gone(error)
        }
    }

    public func has(_ file: String) -> Bool { File.exists("\(path)/\(file)") }

    /// A file's text, without the line's end. Reading it may make the kernel talk to the chip.
    public func text(_ file: String) throws(SensorFault) -> String {
        do throws(FileError) {
            let text = try File.text(of: "\(path)/\(file)", limit: Self.maximumBytes)
            return String(text.prefix { $0 != "\n" })
        } catch {
            throw gone(error)
        }
    }

    public func number(_ file: String) throws(SensorFault) -> Double {
        let text = try text(file)
        guard let number = Double(text), number.isFinite else {
            throw SensorFault("\(path)/\(file) says '\(text.prefix(80))', which is no number")
        }
        return number
    }

    /// A channel of an IIO device in IIO's units (thousandths of °C, V, %, …; kPa; lux), as `temp`, `illuminance`,
    /// `voltage0`, `accel_x`: `in_temp_input`, or `(in_temp_raw + in_temp_offset) · in_temp_scale`
    /// (Documentation/ABI/testing/sysfs-bus-iio of Linux). Scale and offset can be those of all channels of a kind
    /// (`in_voltage_scale`).
    public func channel(_ channel: String) throws(SensorFault) -> Double {
        if has("in_\(channel)_input") { return try number("in_\(channel)_input") }
        let raw = try number("in_\(channel)_raw")
        return try (raw + (shared("offset", of: channel) ?? 0)) * (shared("scale", of: channel) ?? 1)
    }

    private func shared(_ what: String, of channel: String) throws(SensorFault) -> Double? {
        // `voltage0` is of the kind `voltage`, `accel_x` of the kind `accel`, `voltage0-voltage1` of `voltage-voltage`.
        let kind = channel.split(separator: "-").map { $0.prefix(while: \.isLetter) }.joined(separator: "-")
        for name in [channel, kind] where has("in_\(name)_\(what)") { return try number("in_\(name)_\(what)") }
        return nil
    }

    private func gone(_ error: FileError) -> SensorFault {
        SensorFault(error.isNotFound ? "\(error) (unplugged, or taken from its driver?)" : error.description)
    }
}
