import SensorKit

/// Aosong's DHT22 (AM2302), temperature and humidity over one line: through the kernel's driver `dht11`, where it is
/// bound, or by the edges of a GPIO line.
public struct DHT22Driver: Driver {
    public static let name = "dht22"
    public static let summary = "temperature and humidity (kernel's IIO, or one GPIO line, DHT22)"
    public static let defaultInterval = Duration.seconds(10)

    static let fields = [
        Field(name: "temperature_celsius", type: .float), Field(name: "humidity_percent", type: .float),
    ]
    /// At least 0.8 ms low wake the chip up; 1 ms is usual.
    private static let wakeUpPulse = Duration.microseconds(1_200)
    /// Answer and bits take 5 ms.
    private static let patience = Duration.milliseconds(20)

    /// The kernel's driver of this name is for the DHT22 too, and its devices have the name, or it before their number.
    public static func sensors(of devices: KernelDevices) -> [KernelSensor] {
        devices.all(.iio).filter { $0.name.hasPrefix("dht11") }.map { device in
            KernelSensor(device, attributes: ["device": .string(devices.reference(to: device))])
        }
    }

    private enum Source {
        case kernel(String)
        case line(LineReference)
    }

    private let source: Source
    private let hardware: any Hardware
    private let user: String
    private let type: SensorType
    private var attempts = DHT22Attempts()
    private var tally: Tally

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields(Self.fields)
        try context.requireNoFunctions()
        context.warnOfSimilarAttributes(to: ["line", "device"])
        let attributes = context.attributes
        switch (try attributes.optional("line"), try attributes.optional("device")) {
        case (let line?, nil): source = .line(try LineReference(line))
        case (nil, let device?): source = .kernel(try device.nonEmptyString())
        case (nil, nil):
            throw ValidationError(path: "line", "is missing, and so is 'device', the kernel's: one of them is needed")
        case (_?, _?):
            throw ValidationError(path: "device", "and 'line' contradict each other: the sensor is read in one way")
        }
        hardware = context.hardware
        user = "sensorhub \(context.instance)"
        type = context.type
        tally = Tally("transfers were disturbed", log: context.log)
    }

    public mutating func read() throws(SensorFault) -> [Measurement] {
        guard try attempts.begin(at: .now) else { return [] }
        do throws(SensorFault) {
            let frame =
                switch source {
                case .kernel(let name): try read(try hardware.kernelDevices.find(name, in: .iio))
                case .line(let line): try DHT22Frame(fallingEdges: try ask(line))
                }
            attempts.succeeded()
            let values: JSONObject = [
                "temperature_celsius": .double(frame.celsius), "humidity_percent": .double(frame.humidity),
            ]
            return [Measurement(type.select(values))]
        } catch {
            tally.add(1, at: .now, reason: error.reason)
            try attempts.failed(error)
            return []
        }
    }

    /// Thousandths, as all of IIO.
    private func read(_ device: KernelDevice) throws(SensorFault) -> DHT22Frame {
        try DHT22Frame(
            humidity: try device.channel("humidityrelative") / 1_000, celsius: try device.channel("temp") / 1_000)
    }

    /// Wakes the chip up, and returns the falling edges of what it says. Only those: the kernel keeps 16 edges with
    /// libgpiod 1.6, and 84 in 5 ms would be too many to fetch in time.
    private func ask(_ line: LineReference) throws(SensorFault) -> [Instant] {
        let low = LineRequest([line], .output([false], .pushPull), consumer: user)
        var output: (any GPIOLines)? = try hardware.takeLines(low)
        pause(Self.wakeUpPulse)
        // The line is let go, and is pulled up: the chip answers 20 to 40 µs later.
        withExtendedLifetime(output) {}
        output = nil
        let input = try hardware.takeLines(LineRequest([line], .input(.falling), bias: .pullUp, consumer: user))
        let deadline = Instant.now + Self.patience
        var times: [Instant] = []
        while times.count < 42, Instant.now < deadline {
            times += try input.edges().map(\.time)
        }
        guard !times.isEmpty else { throw SensorFault("no answer at line \(line): is the sensor connected?") }
        return times
    }
}
