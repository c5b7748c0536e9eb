import SensorKit

/// A driver for anything that one of the kernel's subsystems shows: the type says which fields, the instance which of
/// the device's channels they are.
protocol KernelDriver: Driver {
    static var subsystem: KernelDevices.Subsystem { get }

    /// What channels of this name are measured in.
    static func unit(of channel: String) -> KernelUnit

    /// What the kernel says of a channel, in its own unit.
    static func value(of channel: KernelChannel, in device: KernelDevice) throws(SensorFault) -> Double

    /// The names of the device's channels.
    static func channels(of device: KernelDevice) throws(SensorFault) -> [String]

    var reader: KernelReader { get set }
}

/// What such a driver knows of its instance.
struct KernelReader {
    fileprivate let device: String
    fileprivate let channels: [KernelChannel]
    fileprivate let devices: KernelDevices
    fileprivate var settings: KernelSettings

    init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFunctions(among: KernelSettings.functions)
        context.warnOfSimilarAttributes(to: ["device", "channels", "settings"])
        device = try context.attributes.required("device").nonEmptyString()
        channels = try KernelChannel.all(context)
        settings = try KernelSettings(context.attributes)
        devices = context.hardware.kernelDevices
    }
}

extension KernelDriver {
    public mutating func read() throws(SensorFault) -> [Measurement] {
        do throws(SensorFault) {
            let device = try reader.devices.find(reader.device, in: Self.subsystem)
            try reader.settings.apply(to: device)
            var values: JSONObject = [:]
            for channel in reader.channels {
                values[channel.field] = try channel.value(try Self.value(of: channel, in: device))
            }
            return [Measurement(values)]
        } catch {
            reader.settings.forget()
            throw error
        }
    }

    public mutating func control(_ call: ControlCall) throws(ControlError) {
        try reader.settings.control(call)
    }

    public static func sensors(of devices: KernelDevices) -> [KernelSensor] {
        devices.all(subsystem).compactMap { device in
            var channels: JSONObject = [:]
            for channel in ((try? self.channels(of: device)) ?? []).prefix(SensorType.maximumFields) {
                channels[unit(of: channel).field(of: channel)] = .string(channel)
            }
            guard !channels.isEmpty else { return nil }
            return KernelSensor(
                device, attributes: ["device": .string(devices.reference(to: device)), "channels": .object(channels)],
                ownType: KernelSensor.OwnType(
                    fields: channels.map { Field(name: $0.key, type: .float) }, functions: KernelSettings.functions))
        }
    }
}

/// The unit that people use for a channel.
struct KernelUnit: Hashable {
    /// What it is in the kernel's unit.
    let factor: Double
    /// What names of fields end with; empty where the name says all.
    let word: String

    init(_ word: String, factor: Double = 1) {
        self.factor = factor
        self.word = word
    }

    /// `temp1_celsius` for `temp1`.
    func field(of channel: String) -> String {
        let all = word.isEmpty ? channel : "\(channel)_\(word)"
        return String(String.UnicodeScalarView(all.unicodeScalars.map { Self.isOfName($0) ? $0 : "_" }))
    }

    private static func isOfName(_ scalar: Unicode.Scalar) -> Bool {
        scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
    }
}
