import SensorKit

/// Any sensor for which the kernel has an IIO driver.
public struct IIODriver: KernelDriver {
    public static let name = "iio"
    public static let summary = "any sensor that the kernel has an IIO driver for"
    public static let defaultInterval = Duration.seconds(5)

    static let subsystem = KernelDevices.Subsystem.iio
    var reader: KernelReader

    public init(_ context: DriverContext) throws(ValidationError) {
        reader = try KernelReader(context)
    }

    /// IIO has °C, %, V, A and W in thousandths (Documentation/ABI/testing/sysfs-bus-iio of Linux).
    static func unit(of channel: String) -> KernelUnit {
        switch channel.prefix(while: \.isLetter) {
        case "temp": KernelUnit("celsius", factor: 1e-3)
        case "humidityrelative": KernelUnit("percent", factor: 1e-3)
        case "voltage", "altvoltage": KernelUnit("v", factor: 1e-3)
        case "current": KernelUnit("a", factor: 1e-3)
        case "power": KernelUnit("w", factor: 1e-3)
        case "pressure": KernelUnit("kilopascals")
        case "illuminance": KernelUnit("lux")
        case "magn": KernelUnit("gauss")
        case "resistance": KernelUnit("ohms")
        default: KernelUnit("")
        }
    }

    static func value(of channel: KernelChannel, in device: KernelDevice) throws(SensorFault) -> Double {
        let name = channel.channel
        guard device.has("in_\(name)_input") || device.has("in_\(name)_raw") else {
            throw SensorFault(
                "\(device.entry) (\(device.name)) has no channel '\(name)'"
                    + didYouMean(name, among: try channels(of: device)))
        }
        return try device.channel(name) * unit(of: name).factor
    }

    static func channels(of device: KernelDevice) throws(SensorFault) -> [String] {
        var channels: [String] = []
        for file in try device.files() where file.hasPrefix("in_") {
            for end in ["_input", "_raw"] where file.hasSuffix(end) {
                let channel = String(file.dropFirst("in_".count).dropLast(end.count))
                // Some have both files.
                if channels.last != channel { channels.append(channel) }
            }
        }
        return channels
    }
}
