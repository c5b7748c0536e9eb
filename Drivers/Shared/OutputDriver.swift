import SensorKit

/// A driver for a chip with outputs: calls set them, and they go to what is safe when the driver ends, or when the hub
/// is out of reach for too long.
protocol OutputDriver: Driver {
    associatedtype Outputs: Equatable

    /// What they are to be.
    var outputs: Outputs { get set }
    /// What they are to be when nobody is in charge.
    var safeOutputs: Outputs { get }
    var absence: HubAbsence { get set }
    var log: Log { get }
    /// Whether there is something to make safe at the end.
    var hasOutputs: Bool { get }

    /// Makes `outputs` what a call asks for.
    mutating func apply(_ call: ControlCall) throws(ValidationError)

    /// Brings the chip to `outputs`.
    func establish() throws(SensorFault)

    /// The same, and reads it.
    func measure() throws(SensorFault) -> [Measurement]
}

extension OutputDriver {
    var hasOutputs: Bool { true }

    public var wakeUp: Instant? { absence.deadline }

    public mutating func read() throws(SensorFault) -> [Measurement] {
        if absence.isOver(at: .now), outputs != safeOutputs {
            log.error("the hub was out of reach for too long: outputs are set to what is safe")
            outputs = safeOutputs
        }
        return try measure()
    }

    public mutating func react() throws(SensorFault) -> [Measurement] { try read() }

    public mutating func hubIsReachable(_ isReachable: Bool) { absence.hub(isReachable: isReachable, at: .now) }

    public mutating func stop() {
        guard hasOutputs else { return }
        outputs = safeOutputs
        do throws(SensorFault) {
            try establish()
        } catch {
            log.error("outputs could not be set to what is safe: \(error)")
        }
    }

    public mutating func control(_ call: ControlCall) throws(ControlError) {
        let before = outputs
        do throws(ValidationError) { try apply(call) } catch { throw .refused(error.description) }
        do throws(SensorFault) {
            try establish()
        } catch {
            // What was not done then is not to happen by itself later.
            outputs = before
            throw .failed(error.reason)
        }
    }
}
