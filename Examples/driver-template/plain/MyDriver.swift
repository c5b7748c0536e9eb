public import SensorKit

/// An example: how long the machine has been up, as the first number of /proc/uptime says (proc(5)). Replace what `read`
/// does, and say here where each value is from.
public struct MyDriver: Driver {
    public static let name = "MY-NAME"
    public static let summary = "an example: how long the machine has been up"
    public static let defaultInterval = Duration.seconds(5)

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields([Field(name: "uptime_seconds", type: .float)])
        try context.requireNoFunctions()
    }

    public mutating func read() throws(SensorFault) -> [Measurement] {
        let text: String
        do throws(FileError) {
            text = try File.text(of: "/proc/uptime", limit: 256)
        } catch {
            throw SensorFault(error.description)
        }
        return [Measurement(["uptime_seconds": .double(try Self.seconds(in: text))])]
    }

    static func seconds(in text: String) throws(SensorFault) -> Double {
        guard let first = text.split(separator: " ").first, let seconds = Double(first), seconds.isFinite else {
            throw SensorFault("/proc/uptime says '\(text.prefix(80))', which is no number")
        }
        return seconds
    }
}
