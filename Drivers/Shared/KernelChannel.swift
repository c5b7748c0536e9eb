import SensorKit

/// What a field of a sensor is in a device of the kernel's: a member of the attribute `channels`, as `"temp"` or
/// `{"channel": "voltage0", "factor": 11, "offset": -0.2, "minimum": 0, "maximum": 60}`.
struct KernelChannel: Hashable {
    let field: String
    let isWhole: Bool
    let channel: String
    /// After the unit of the kernel was made the one of the README: value · factor + offset.
    let factor: Double
    let offset: Double
    let range: ClosedRange<Double>

    /// One for each of the type's fields, in their order.
    static func all(_ context: DriverContext) throws(ValidationError) -> [KernelChannel] {
        let channels = try context.attributes.required("channels")
        try channels.allowOnly(context.type.fields.map(\.name))
        var all: [KernelChannel] = []
        for field in context.type.fields {
            guard field.type == .float || field.type == .int else {
                throw ValidationError(
                    path: "type.fields.\(field.name)", "must be float or int, as the kernel gives numbers")
            }
            all.append(try KernelChannel(field.name, isWhole: field.type == .int, try channels.required(field.name)))
        }
        return all
    }

    private init(_ field: String, isWhole: Bool, _ reader: DocumentReader) throws(ValidationError) {
        self.field = field
        self.isWhole = isWhole
        if reader.value.string != nil {
            channel = try Self.fileName(reader)
            (factor, offset) = (1, 0)
            range = -Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude
            return
        }
        try reader.allowOnly(["channel", "factor", "offset", "minimum", "maximum"])
        channel = try Self.fileName(try reader.required("channel"))
        factor = try reader.optional("factor")?.double() ?? 1
        offset = try reader.optional("offset")?.double() ?? 0
        let minimum = try reader.optional("minimum")?.double() ?? -Double.greatestFiniteMagnitude
        let maximum = try reader.optional("maximum")?.double() ?? Double.greatestFiniteMagnitude
        guard minimum <= maximum else {
            throw reader.error("minimum \(minimum) contradicts maximum \(maximum)")
        }
        range = minimum...maximum
    }

    /// Something that leads out of the device's folder is none. A label may have spaces.
    static func fileName(_ reader: DocumentReader) throws(ValidationError) -> String {
        let text = try reader.nonEmptyString()
        guard !text.contains("/"), !text.hasPrefix("."), text.utf8.count <= 80 else {
            throw reader.error("'\(text.prefix(80))' is no name in the kernel's folder of a device")
        }
        return text
    }

    /// - Parameter kernel: the value, in the unit of the README.
    func value(_ kernel: Double) throws(SensorFault) -> JSON {
        let value = kernel * factor + offset
        guard range.contains(value) else {
            throw SensorFault(
                "\(channel) says \(value), which lies outside of \(range.lowerBound) to \(range.upperBound)")
        }
        return isWhole ? .int(Int64(exactly: value.rounded()) ?? 0) : .double(value)
    }
}
