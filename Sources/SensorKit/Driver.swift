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

    /// Carries out a control function; the sensor is read right afterwards.
    ///
    /// - Parameter call: function and parameters are known to fit the type.
    /// - Throws: `ControlError`, which goes to the caller.
    mutating func control(_ call: ControlCall) throws(ControlError)
}

extension Driver {
    /// For a sensor that cannot be controlled.
    public mutating func control(_ call: ControlCall) throws(ControlError) {
        throw .refused("the driver '\(Self.name)' has no control functions")
    }
}
