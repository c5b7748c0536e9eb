import Glibc

extension KernelDevice {
    /// The thing that shows itself as this device, as `1-0023` for an I2C chip, `dht11@4`, `28-00000a1b2c3d`: it can show
    /// itself as others too. Nil where it is gone, or there is none.
    public var thing: String? {
        switch subsystem {
        case .hwmon: KernelLink.last(of: "\(path)/device")
        // The folders of IIO have no such link, but are in that of the thing.
        case .iio: folder
        case .oneWire: entry
        }
    }

    /// The last part of the path of what its folder is in.
    private var folder: String? {
        guard let real = realpath("\(path)/..", nil) else { return nil }
        defer { free(real) }
        return String(cString: real).split(separator: "/").last.map(String.init)
    }
}

extension KernelDevices {
    /// What `find` can be given to mean just this device, the most lasting first: the name of its folder changes with the
    /// order in which devices come.
    public func reference(to device: KernelDevice) -> String {
        [device.name, device.thing].compactMap(\.self).first { text in
            !text.isEmpty && (try? find(text, in: device.subsystem)) == device
        } ?? device.entry
    }
}
