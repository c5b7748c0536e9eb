/// The code that reads one kind of sensor. `sensor-driver` makes one for the sensor instance that it runs, and calls it
/// from one thread, one call at a time.
///
/// What a driver need not care for: the broker, the schedule, what happens to readings while there is no connection,
/// and whether a control call fits the sensor's type.
public protocol Driver: SendableMetatype {
    /// What a sensor instance has under `driver`; an id.
    static var name: String { get }

    /// What it reads, in a few words, for `sensor-driver --list`.
    static var summary: String { get }

    /// How often it reads where the instance does not say.
    static var defaultInterval: Duration { get }

    /// The addresses that its chip can have at an I2C bus, the usual one first; empty where it is none. For
    /// `sensorhub detect`.
    static var i2cAddresses: [UInt8] { get }

    /// How such a chip can be told from others at its addresses. For `sensorhub detect`.
    static var i2cIdentity: I2CIdentity { get }

    /// The sensors that the kernel's drivers show and this driver can read. They are not read for this. For
    /// `sensorhub detect`.
    static func sensors(of devices: KernelDevices) -> [KernelSensor]

    /// Checks the type and the attributes of the instance; see `DriverContext.requireFields` and `attributes`.
    ///
    /// A sensor that does not answer is no reason to throw here: `read` says so, and is called again.
    ///
    /// - Throws: `ValidationError` whose path is the attribute at fault, as `simulate.lux.pattern`.
    init(_ context: DriverContext) throws(ValidationError)

    /// Reads the sensor. It should come back within a second: control calls and the end of the process wait for it.
    ///
    /// - Returns: what was measured, oldest first; empty where there was nothing to measure.
    /// - Throws: `SensorFault` when the sensor cannot be read. The sensor's status tells, and `read` is called again
    ///   after a while.
    mutating func read() throws(SensorFault) -> [Measurement]

    /// Descriptors of things that happen by themselves, as edges of a GPIO line: `react` is called as soon as one is
    /// readable. Asked for before each wait.
    var descriptors: [Int32] { get }

    /// When `react` is to be called even if nothing is readable; nil for never. Asked for before each wait.
    var wakeUp: Instant? { get }

    /// Something is readable, or `wakeUp` has come. What made it readable must be read. While the sensor is at fault,
    /// it is not called: `read` is, after a while, and finds out whether all is well again.
    ///
    /// - Returns: what was measured, oldest first, which is published at once.
    /// - Throws: `SensorFault`, as `read`.
    mutating func react() throws(SensorFault) -> [Measurement]

    /// The hub came (true) or is out of reach (false), as far as the broker and the hub's status tell. It is out
    /// of reach at the start. For outputs that must not stay as they are without anybody in charge.
    mutating func hubIsReachable(_ isReachable: Bool)

    /// The driver ends, on purpose: outputs are to be left as they can be left alone. It is not called when the process
    /// crashes or is killed.
    mutating func stop()

    /// Carries out a control function; the sensor is read right afterwards.
    ///
    /// - Parameter call: function and parameters are known to fit the type.
    /// - Throws: `ControlError`, which goes to the caller.
    mutating func control(_ call: ControlCall) throws(ControlError)
}

extension Driver {
    public static var i2cAddresses: [UInt8] { [] }
    public static var i2cIdentity: I2CIdentity { .unknown }
    public static func sensors(of devices: KernelDevices) -> [KernelSensor] { [] }

    // For a sensor that is only read on schedule.
    public var descriptors: [Int32] { [] }
    public var wakeUp: Instant? { nil }
    public mutating func react() throws(SensorFault) -> [Measurement] { [] }
    public mutating func hubIsReachable(_ isReachable: Bool) {}
    public mutating func stop() {}

    /// For a sensor that cannot be controlled.
    public mutating func control(_ call: ControlCall) throws(ControlError) {
        throw .refused("the driver '\(Self.name)' has no control functions")
    }
}
