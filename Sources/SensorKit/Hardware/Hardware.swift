/// The machine's buses and lines, as drivers see them: `DriverContext.hardware`. LinuxHardware has the real ones; tests
/// of drivers give theirs.
public protocol Hardware: Sendable {
    /// Opens an I2C bus. Others may have the same bus open.
    ///
    /// - Parameter user: the sensor, for those who want to know who holds a line that the bus takes.
    func openI2C(_ bus: I2CBusReference, user: String) throws(SensorFault) -> any I2CBus

    /// Takes GPIO lines, which nobody else can have until they are released.
    func takeLines(_ request: LineRequest) throws(SensorFault) -> any GPIOLines

    /// What the kernel's own drivers know.
    var kernelDevices: KernelDevices { get }
}

/// A machine without buses and lines, for drivers that need none.
public struct NoHardware: Hardware {
    public init() {}

    public func openI2C(_ bus: I2CBusReference, user: String) throws(SensorFault) -> any I2CBus {
        throw SensorFault("\(bus): there are no I2C buses here")
    }

    public func takeLines(_ request: LineRequest) throws(SensorFault) -> any GPIOLines {
        throw SensorFault("\(request.lines.map(\.description).joined(separator: ", ")): there are no GPIO lines here")
    }

    public let kernelDevices = KernelDevices(root: "/nonexistent")
}
