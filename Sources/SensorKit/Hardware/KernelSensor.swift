/// A sensor that the kernel has a driver for, as a driver of the hub would read it: for `sensorhub detect`.
public struct KernelSensor: Sendable, Hashable {
    public let device: KernelDevice
    /// The attributes that the driver needs.
    public let attributes: JSONObject
    /// The fields and functions that a type for it has, where it takes one of its own; nil where the driver's will do,
    /// which then is for just such sensors.
    public let ownType: OwnType?

    public struct OwnType: Sendable, Hashable {
        public let fields: [Field]
        public let functions: [ControlFunction]

        public init(fields: [Field], functions: [ControlFunction]) {
            self.fields = fields
            self.functions = functions
        }
    }

    public init(_ device: KernelDevice, attributes: JSONObject, ownType: OwnType? = nil) {
        self.device = device
        self.attributes = attributes
        self.ownType = ownType
    }
}
