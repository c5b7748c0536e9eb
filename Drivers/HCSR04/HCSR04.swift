import Glibc
import SensorKit

/// The ultrasonic distance sensor HC-SR04 and its like: a pulse at one line starts it, a pulse at the other is as long
/// as the sound was on its way.
public struct HCSR04Driver: Driver {
    public static let name = "hc_sr04"
    public static let summary = "distance by ultrasound (two GPIO lines, HC-SR04)"
    public static let defaultInterval = Duration.seconds(1)

    static let fields = [Field(name: "distance_m", type: .float), Field(name: "in_range", type: .bool)]
    static let functions = [
        ControlFunction(name: "set_temperature", parameters: [Field(name: "temperature_celsius", type: .float)])
    ]

    /// Some of its like keep the line high for 200 ms where there is no echo.
    private static let patience = Duration.milliseconds(300)
    /// Echoes of the last pulse must have faded (data sheet: a cycle of over 60 ms).
    private static let pauseBetweenPulses = Duration.milliseconds(60)

    private let trigger: LineRequest
    private let echo: LineRequest
    private let pulse: Duration
    private let samples: Int
    private let type: SensorType
    private let hardware: any Hardware
    private var celsius: Double
    private var lines: (trigger: any GPIOLines, echo: any GPIOLines)?

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields(Self.fields)
        try context.requireFunctions(among: Self.functions)
        context.warnOfSimilarAttributes(to: ["trigger", "echo", "trigger_us", "samples", "temperature_celsius"])
        let attributes = context.attributes
        let user = "sensorhub \(context.instance)"
        let triggerLine = try LineReference(try attributes.required("trigger"))
        let echoLine = try LineReference(try attributes.required("echo"))
        guard triggerLine != echoLine else {
            throw ValidationError(path: "echo", "is the same line as trigger: \(triggerLine)")
        }
        trigger = LineRequest([triggerLine], .output([false], .pushPull), consumer: user)
        echo = LineRequest([echoLine], .input(.both), consumer: user)
        pulse = .microseconds(try attributes.optional("trigger_us")?.int(10...10_000) ?? 20)
        samples = Int(try attributes.optional("samples")?.int(1...9) ?? 3)
        celsius = try attributes.optional("temperature_celsius").map(Self.celsius) ?? 20
        type = context.type
        hardware = context.hardware
    }

    private static func celsius(_ reader: DocumentReader) throws(ValidationError) -> Double {
        try reader.number(in: -50...100)
    }

    public mutating func read() throws(SensorFault) -> [Measurement] {
        do throws(SensorFault) {
            if lines == nil { lines = (try hardware.takeLines(trigger), try hardware.takeLines(echo)) }
            var soundings: [Sounding] = []
            for sample in 0..<samples {
                if sample > 0 { pause(Self.pauseBetweenPulses) }
                soundings.append(Sounding(echo: try sound(), celsius: celsius))
            }
            return measurements(Sounding.median(soundings))
        } catch {
            lines = nil
            throw error
        }
    }

    /// - Returns: how long the echo pulse was.
    private func sound() throws(SensorFault) -> Duration {
        let (trigger, echo) = lines!
        _ = try echo.edges()
        guard try echo.values() == [false] else {
            throw SensorFault(
                "line \(self.echo.lines[0]), the echo, is high before anything was sent: is it connected?")
        }
        try trigger.set([true])
        pause(pulse)
        try trigger.set([false])
        var started: Instant?
        let deadline = Instant.now + Self.patience
        while Instant.now < deadline {
            wait(for: echo.descriptors, until: deadline)
            for edge in try echo.edges() {
                if edge.value {
                    started = edge.time
                } else if let started {
                    return edge.time - started
                }
            }
        }
        throw SensorFault(
            started == nil
                ? "no echo pulse at line \(self.echo.lines[0]): is the sensor connected, and has it 5 V?"
                : "the echo pulse at line \(self.echo.lines[0]) does not end")
    }

    private func wait(for descriptors: [Int32], until deadline: Instant) {
        var descriptors = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        let left = (deadline - .now).nanoseconds / 1_000_000
        poll(&descriptors, nfds_t(descriptors.count), Int32(max(1, left)))
    }

    private func measurements(_ sounding: Sounding) -> [Measurement] {
        let values: JSONObject
        switch sounding {
        case .distance(let metres): values = ["distance_m": .double(metres), "in_range": true]
        case .outOfRange: values = ["in_range": false]
        }
        let selected = type.select(values)
        return selected.isEmpty ? [] : [Measurement(selected)]
    }

    public mutating func control(_ call: ControlCall) throws(ControlError) {
        celsius = try call.parameter("temperature_celsius", Self.celsius)
    }
}
