import Glibc

extension KernelDevices {
    /// As `find`, for an IIO device, which may also be named by what it is in: `1-0023` for an I2C chip, `dht11@4`. The
    /// folders of IIO have no link `device`, as those of hwmon do.
    public func findIIO(_ text: String) throws(SensorFault) -> KernelDevice {
        let inside = all(.iio).filter { $0.place == text }
        return inside.count == 1 ? inside[0] : try find(text, in: .iio)
    }
}

extension KernelDevice {
    /// The last part of the path of what it is in; nil where it is gone.
    fileprivate var place: String? {
        guard let real = realpath("\(path)/..", nil) else { return nil }
        defer { free(real) }
        return String(cString: real).split(separator: "/").last.map(String.init)
    }
}
