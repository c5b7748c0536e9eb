import SensorKit
import Synchronization

/// A driver that does what a test tells it to: counts up, or has a fault.
struct ScriptedDriver: Driver {
    static let name = "scripted"
    static let summary = "for tests"
    static let defaultInterval = Duration.milliseconds(50)

    /// What the test changes while the driver runs.
    final class Script: Sendable {
        private let fault = Mutex<String?>(nil)
        /// What the driver was told of the hub.
        let hubWasReachable = Mutex<[Bool]>([])

        func setFault(_ reason: String?) { fault.withLock { $0 = reason } }

        func check() throws(SensorFault) {
            if let reason = fault.withLock({ $0 }) { throw SensorFault(reason) }
        }
    }

    static let type = SensorType(
        name: Identifier("counter")!, fields: [Field(name: "count", type: .int), Field(name: "on", type: .bool)],
        functions: [ControlFunction(name: "turn", parameters: [Field(name: "on", type: .bool)])])

    private let script: Script
    private var count: Int64 = 0
    private var isOn = false

    init(_ context: DriverContext) throws(ValidationError) { self.init(Script()) }

    init(_ script: Script) { self.script = script }

    mutating func read() throws(SensorFault) -> [Measurement] {
        try script.check()
        count += 1
        return [Measurement(["count": .int(count), "on": .bool(isOn)])]
    }

    mutating func hubIsReachable(_ isReachable: Bool) { script.hubWasReachable.withLock { $0.append(isReachable) } }

    mutating func control(_ call: ControlCall) throws(ControlError) {
        guard (try? script.check()) != nil else { throw .failed("the lamp does not answer") }
        isOn = call.parameters["on"]?.bool == true
    }
}

/// A driver that nobody asks for.
struct OtherDriver: Driver {
    static let name = "other"
    static let summary = "for tests"
    static let defaultInterval = Duration.seconds(1)

    init(_ context: DriverContext) throws(ValidationError) {}

    mutating func read() throws(SensorFault) -> [Measurement] { [] }
}
