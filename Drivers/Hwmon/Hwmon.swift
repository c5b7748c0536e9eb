import SensorKit

/// Any sensor for which the kernel has a hwmon driver: temperatures, fans, voltages, powers of a machine.
public struct HwmonDriver: Driver {
    public static let name = "hwmon"
    public static let summary = "any sensor that the kernel has a hwmon driver for: temperatures, fans, voltages"
    public static let defaultInterval = Duration.seconds(10)

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

    /// To units that people use: hwmon has °C, V, A and % in thousandths, W and J in millionths
    /// (Documentation/hwmon/sysfs-interface of Linux).
    static func factor(_ channel: String) -> Double {
        switch channel.prefix(while: \.isLetter) {
        case "temp", "in", "curr", "humidity": 1e-3
        case "power", "energy": 1e-6
        default: 1
        }
    }

    public mutating func read() throws(SensorFault) -> [Measurement] {
        do throws(SensorFault) {
            let device = try devices.find(device, in: .hwmon)
            try settings.apply(to: device)
            var values: JSONObject = [:]
            for channel in channels {
                let name = try Self.channel(channel.channel, of: device)
                if device.has("\(name)_fault"), try device.number("\(name)_fault") != 0 {
                    throw SensorFault("\(device.entry) (\(device.name)): the kernel says that \(name) is at fault")
                }
                // A few, as pwm1, are the value themselves.
                let file = device.has("\(name)_input") ? "\(name)_input" : name
                values[channel.field] = try channel.value(try device.number(file) * Self.factor(name))
            }
            return [Measurement(values)]
        } catch {
            settings.forget()
            throw error
        }
    }

    /// By its name, as `temp1`, or by what the driver's label says, as `Core 0`.
    private static func channel(_ text: String, of device: KernelDevice) throws(SensorFault) -> String {
        if device.has("\(text)_input") || device.has(text) { return text }
        var known: [String] = []
        for file in try device.files() {
            if file.hasSuffix("_input") { known.append(String(file.dropLast("_input".count))) }
            guard file.hasSuffix("_label"), let label = try? device.text(file) else { continue }
            if label == text { return String(file.dropLast("_label".count)) }
            known.append(label)
        }
        throw SensorFault(
            "\(device.entry) (\(device.name)) has no channel '\(text)', but \(known.prefix(20).joined(separator: ", "))"
                + didYouMean(text, among: known))
    }

    public mutating func control(_ call: ControlCall) throws(ControlError) {
        try settings.control(call)
    }
}
