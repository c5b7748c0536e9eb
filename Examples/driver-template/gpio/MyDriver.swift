public import SensorKit

/// An example: the level of a GPIO line, read at the interval. Replace what `read` does; for edges as they come, see the
/// driver `digital_input` of sensorhub.
public struct MyDriver: Driver {
    public static let name = "MY-NAME"
    public static let summary = "an example: the level of a GPIO line"
    public static let defaultInterval = Duration.seconds(5)

    private let request: LineRequest
    private let hardware: any Hardware
    /// While it is held.
    private var line: (any GPIOLines)?

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields([Field(name: "active", type: .bool)])
        try context.requireNoFunctions()
        let attributes = context.attributes
        request = LineRequest(
            [try LineReference(try attributes.required("line"))], .input(.none), bias: .asIs,
            isActiveLow: try attributes.optional("active_low")?.bool() ?? false,
            consumer: "sensorhub \(context.instance)")
        hardware = context.hardware
    }

    public mutating func read() throws(SensorFault) -> [Measurement] {
        do throws(SensorFault) {
            let line: any GPIOLines
            if let held = self.line { line = held } else { line = try hardware.takeLines(request) }
            self.line = line
            return [Measurement(["active": .bool(try line.values()[0])])]
        } catch {
            // It is taken anew when it is there again.
            line = nil
            throw error
        }
    }
}
