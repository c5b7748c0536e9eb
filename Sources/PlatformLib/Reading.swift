public import HubModel
public import SimdJSON

/// A reading of a bound sensor.
public struct Reading: Sendable, Hashable {
    /// The sensor that took it.
    public let sensor: Identifier
    /// The sensor's position in the binding.
    public let position: Int
    /// When it was taken, in microseconds since 1970; the time of receipt for a device that sends none.
    public let time: Int64
    /// The driver's own numbers; nil for a device that sends none.
    public let boot: Int64?
    public let sequence: Int64?
    /// By field; a field that the sensor had no value for is missing.
    public let values: JSONObject

    /// The value of a field; nil where the sensor had none.
    public subscript(field: String) -> JSON? { values[field] }

    /// Reads the payload of a data topic: one reading, an array, or a bare object of fields.
    ///
    /// - Returns: those that fit the sensor's type.
    static func read(
        _ payload: [UInt8], from sensor: BindingDocument.Sensor, position: Int, receivedAt: Int64
    ) -> [Reading] {
        guard let value = try? JSON(parsing: payload) else { return [] }
        return (value.array ?? [value]).compactMap { item in
            guard let object = item.object else { return nil }
            let isBare = object["v"]?.object == nil
            let fields = isBare ? object : object["v"]?.object ?? [:]
            let values = JSONObject(fields.filter { $0.value != .null }.map { ($0.key, $0.value) })
            let fits = values.allSatisfy { member in
                sensor.fields.first { $0.name == member.key }?.type.accepts(member.value) ?? false
            }
            guard fits, !values.isEmpty, isBare || object["t"]?.int != nil else { return nil }
            return Reading(
                sensor: sensor.id, position: position, time: isBare ? receivedAt : object["t"]?.int ?? receivedAt,
                boot: isBare ? nil : object["boot"]?.int, sequence: isBare ? nil : object["seq"]?.int, values: values)
        }
    }
}
