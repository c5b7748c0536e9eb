public import SensorKit

/// The drivers that `sensor-driver` knows, by name.
public let drivers: [any Driver.Type] = [
    BH1750Driver.self,
    DigitalInputDriver.self,
    SimulatedDriver.self,
    SystemDriver.self,
]
