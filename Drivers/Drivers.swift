public import SensorKit

/// The drivers that `sensor-driver` knows, by name.
public let drivers: [any Driver.Type] = [
    SimulatedDriver.self,
    SystemDriver.self,
]
