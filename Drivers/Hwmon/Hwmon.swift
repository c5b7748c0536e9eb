import SensorKit

/// Any sensor for which the kernel has a hwmon driver: temperatures, fans, voltages, powers of a machine.
public struct HwmonDriver: KernelDriver {
    public static let name = "hwmon"
    public static let summary = "any sensor that the kernel has a hwmon driver for: temperatures, fans, voltages"
    public static let defaultInterval = Duration.seconds(10)

    static let subsystem = KernelDevices.Subsystem.hwmon
    var reader: KernelReader

    public init(_ context: DriverContext) throws(ValidationError) {
        reader = try KernelReader(context)
    }

    /// hwmon has °C, V, A and % in thousandths, W and J in millionths (Documentation/hwmon/sysfs-interface of Linux).
    static func unit(of channel: String) -> KernelUnit {
        switch channel.prefix(while: \.isLetter) {
        case "temp": KernelUnit("celsius", factor: 1e-3)
        case "in": KernelUnit("v", factor: 1e-3)
        case "curr": KernelUnit("a", factor: 1e-3)
        case "humidity": KernelUnit("percent", factor: 1e-3)
        case "power": KernelUnit("w", factor: 1e-6)
        case "energy": KernelUnit("j", factor: 1e-6)
        case "fan": KernelUnit("rpm")
        default: KernelUnit("")
        }
    }

    static func value(of channel: KernelChannel, in device: KernelDevice) throws(SensorFault) -> Double {
        let name = try name(of: channel.channel, in: device)
        if device.has("\(name)_fault"), try device.number("\(name)_fault") != 0 {
            throw SensorFault("\(device.entry) (\(device.name)): the kernel says that \(name) is at fault")
        }
        // A few, as pwm1, are the value themselves.
        let file = device.has("\(name)_input") ? "\(name)_input" : name
        return try device.number(file) * unit(of: name).factor
    }

    static func channels(of device: KernelDevice) throws(SensorFault) -> [String] {
        try device.files().filter { $0.hasSuffix("_input") }.map { String($0.dropLast("_input".count)) }
    }

    /// By its name, as `temp1`, or by what the driver's label says, as `Core 0`.
    private static func name(of text: String, in device: KernelDevice) throws(SensorFault) -> String {
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
}
