import SensorKit

/// A relay, a lamp, a valve at a GPIO line: switched by calls, for a time if wanted, and left safe when nobody is in
/// charge. Each change is published.
public struct DigitalOutputDriver: Driver {
    public static let name = "digital_output"
    public static let summary = "relay, lamp, valve at a GPIO line"
    public static let defaultInterval = Duration.seconds(60)

    static let fields = [
        Field(name: "on", type: .bool), Field(name: "switches", type: .int), Field(name: "cause", type: .string),
    ]
    static let functions = [
        ControlFunction(name: "on", parameters: []), ControlFunction(name: "off", parameters: []),
        ControlFunction(name: "toggle", parameters: []),
        ControlFunction(name: "on_for", parameters: [Field(name: "seconds", type: .float)]),
        ControlFunction(name: "pulse", parameters: [Field(name: "seconds", type: .float)]),
    ]

    private let settings: Settings
    private let hardware: any Hardware
    private let type: SensorType
    private let clock: WallClock
    private let log: Log
    private var state: StateFile
    private var line: (any GPIOLines)?
    /// Nil before the line was taken for the first time.
    private var output: SwitchedOutput?
    private var isHubReachable = false
    private var switches: Int64 = 0
    /// Changes that are not published yet.
    private var changes: [Measurement] = []

    /// Changes are published as they come. More than a few wait only while the line cannot be taken.
    private static let maximumChanges = 1_000

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields(Self.fields)
        try context.requireFunctions(among: Self.functions)
        context.warnOfSimilarAttributes(to: Settings.attributes)
        settings = try Settings(context)
        hardware = context.hardware
        type = context.type
        clock = context.clock
        log = context.log
        state = context.state
    }

    public var wakeUp: Instant? { output?.deadline }

    /// Each change; how it stands, where there was none.
    public mutating func read() throws(SensorFault) -> [Measurement] {
        let measurements = try react()
        return measurements.isEmpty ? [measurement(time: clock.now())] : measurements
    }

    public mutating func react() throws(SensorFault) -> [Measurement] {
        try takeLine()
        while let time = output!.advance(to: .now) { try carryOut(at: time) }
        defer { changes = [] }
        return changes
    }

    private mutating func takeLine() throws(SensorFault) {
        guard line == nil else { return }
        let now = Instant.now
        var wanted: SwitchedOutput
        if let output {
            wanted = output
        } else {
            wanted = SwitchedOutput(isOn: firstValue, safe: settings.safe.value, absence: settings.absence)
            // How long the hub is away counts from when there is something to be made safe.
            wanted.hubIsReachable(isHubReachable, now: now)
        }
        // After a fault it is what it would have become meanwhile.
        while wanted.advance(to: now) != nil { tellOfLostHub(wanted) }
        line = try hardware.takeLines(settings.request(isOn: wanted.isOn))
        output = wanted
    }

    private func tellOfLostHub(_ output: SwitchedOutput) {
        guard output.cause == .hubLost else { return }
        log.error("the hub was out of reach for too long: it is \(output.isOn ? "on" : "off") now, to be safe")
    }

    private var firstValue: Bool {
        switch settings.initial {
        case .on: true
        case .off: false
        case .last: state.load()?["on"]?.bool ?? (settings.safe == .on)
        }
    }

    /// Gives the line the value that it is to have.
    private mutating func carryOut(at time: Instant) throws(SensorFault) {
        do throws(SensorFault) {
            try line!.set([output!.isOn])
        } catch {
            // It is taken anew, with this value.
            line = nil
            throw error
        }
        switches += 1
        if settings.initial == .last { state.save(["on": .bool(output!.isOn)]) }
        if changes.count < Self.maximumChanges { changes.append(measurement(time: clock.time(at: time))) }
        tellOfLostHub(output!)
    }

    private func measurement(time: Int64) -> Measurement {
        let values: JSONObject = [
            "on": .bool(output!.isOn), "switches": .int(switches), "cause": .string(output!.cause.rawValue),
        ]
        return Measurement(type.select(values), time: time)
    }

    public mutating func control(_ call: ControlCall) throws(ControlError) {
        let time = call.parameters["seconds"] == nil ? .zero : try call.parameter("seconds", Settings.time)
        do throws(SensorFault) {
            try takeLine()
            let now = Instant.now
            // What should have happened before the call.
            while let moment = output!.advance(to: now) { try carryOut(at: moment) }
            let before = output!.isOn
            switch call.function {
            case "on": output!.set(true)
            case "off": output!.set(false)
            case "toggle": output!.set(!before)
            case "on_for": output!.turnOn(for: time, now: now)
            default: output!.pulse(for: time, now: now)
            }
            if output!.isOn != before { try carryOut(at: now) }
        } catch {
            throw .failed(error.reason)
        }
    }

    public mutating func hubIsReachable(_ isReachable: Bool) {
        isHubReachable = isReachable
        output?.hubIsReachable(isReachable, now: .now)
    }

    public mutating func stop() {
        guard let line, let value = settings.safe.value else { return }
        do throws(SensorFault) {
            try line.set([value])
        } catch {
            log.error("the output could not be made safe: \(error)")
        }
    }
}
