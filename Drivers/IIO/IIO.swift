import SensorKit

/// Any sensor for which the kernel has an IIO driver.
public struct IIODriver: Driver {
    public static let name = "iio"
    public static let summary = "any sensor that the kernel has an IIO driver for"
    public static let defaultInterval = Duration.seconds(5)

    private let device: String
    private let channels: [KernelChannel]
    private let devices: KernelDevices
    private var settings: KernelSettings

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFunctions(among: KernelSettings.functions)
        context.warnOfSimilarAttributes(to: ["device", "channels", "settings"])
        device = try context.attributes.required("device").nonEmptyString()
        channels = try KernelChannel.all(context)
        settings = try KernelSettings(context.attributes)
        devices = context.hardware.kernelDevices
    }

    /// To units that people use: IIO has °C, %, V, A and W in thousandths.
    static func factor(_ channel: String) -> Double {
        switch channel.prefix(while: \.isLetter) {
        case "temp", "humidityrelative", "voltage", "altvoltage", "current", "power": 1e-3
        default: 1
        }
    }

    public mutating func read() throws(SensorFault) -> [Measurement] {
        do throws(SensorFault) {
            let device = try devices.findIIO(device)
            try settings.apply(to: device)
            var values: JSONObject = [:]
            for channel in channels {
                guard device.has("in_\(channel.channel)_input") || device.has("in_\(channel.channel)_raw") else {
                    throw SensorFault(
                        "\(device.entry) (\(device.name)) has no channel '\(channel.channel)'"
                            + didYouMean(channel.channel, among: try Self.channels(of: device)))
                }
                let kernel = try device.channel(channel.channel) * Self.factor(channel.channel)
                values[channel.field] = try channel.value(kernel)
            }
            return [Measurement(values)]
        } catch {
            settings.forget()
            throw error
        }
    }

    private static func channels(of device: KernelDevice) throws(SensorFault) -> [String] {
        try device.files().compactMap { file in
            guard file.hasPrefix("in_") else { return nil }
            for end in ["_input", "_raw"] where file.hasSuffix(end) {
                return String(file.dropFirst("in_".count).dropLast(end.count))
            }
            return nil
        }
    }

    public mutating func control(_ call: ControlCall) throws(ControlError) {
        try settings.control(call)
    }
}
