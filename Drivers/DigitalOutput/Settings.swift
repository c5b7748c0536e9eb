import SensorKit

extension DigitalOutputDriver {
    /// The attributes.
    struct Settings {
        enum Initial: String, CaseIterable {
            case off, on
            /// What it was when the driver ended.
            case last
        }

        enum Safe: String, CaseIterable {
            case off, on
            /// As it is.
            case keep

            var value: Bool? { self == .keep ? nil : self == .on }
        }

        private enum Drive: String, CaseIterable {
            case pushPull = "push_pull"
            case openDrain = "open_drain"
            case openSource = "open_source"

            var ofLine: LineRequest.Drive {
                switch self {
                case .pushPull: .pushPull
                case .openDrain: .openDrain
                case .openSource: .openSource
                }
            }
        }

        let initial: Initial
        let safe: Safe
        let absence: HubAbsence
        private let reference: LineReference
        private let isActiveLow: Bool
        private let drive: Drive
        private let consumer: String

        static let attributes = ["line", "active_low", "drive", "initial", "safe", HubAbsence.attribute]

        /// Seconds: as finely as the driver waits, and a week.
        private static let times = 0.001...604_800

        init(_ context: DriverContext) throws(ValidationError) {
            let attributes = context.attributes
            reference = try LineReference(try attributes.required("line"))
            isActiveLow = try attributes.optional("active_low")?.bool() ?? false
            initial = try attributes.optional("initial")?.choice(of: Initial.self) ?? .off
            safe = try attributes.optional("safe")?.choice(of: Safe.self) ?? .off
            drive = try attributes.optional("drive")?.choice(of: Drive.self) ?? .pushPull
            consumer = "sensorhub \(context.instance)"
            absence = try HubAbsence(attributes)
            if safe == .keep, let after = try attributes.optional(HubAbsence.attribute) {
                throw after.error("contradicts safe = \"keep\": say what is safe, \"on\" or \"off\"")
            }
        }

        static func time(_ reader: DocumentReader) throws(ValidationError) -> Duration {
            .nanoseconds(Int64(try reader.number(in: times) * 1e9))
        }

        /// - Parameter isOn: its value from the moment at which it is taken.
        func request(isOn: Bool) -> LineRequest {
            LineRequest([reference], .output([isOn], drive.ofLine), isActiveLow: isActiveLow, consumer: consumer)
        }
    }
}
