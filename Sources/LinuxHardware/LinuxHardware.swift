public import SensorKit

/// The buses and lines of a Linux machine: `/dev/i2c-N`, GPIO lines through libgpiod, what the kernel's drivers show
/// under /sys.
public struct LinuxHardware: Hardware {
    public init() {}

    public func openI2C(_ bus: I2CBusReference, user: String) throws(SensorFault) -> any I2CBus {
        switch bus {
        case .number(let number): try KernelI2CBus(try I2CAdapter.find(number))
        case .path(let path): try KernelI2CBus(try I2CAdapter.find(path: path))
        case .adapter(let name): try KernelI2CBus(try I2CAdapter.find(name: name))
        case .lines(let settings): try BitBangedI2CBus(settings, hardware: self, user: user)
        }
    }

    public func takeLines(_ request: LineRequest) throws(SensorFault) -> any GPIOLines {
        try GPIODLines(request)
    }

    public let kernelDevices = KernelDevices()
}
