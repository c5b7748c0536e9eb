/// What a driver measured at one moment.
public struct Measurement: Sendable, Hashable {
    /// Values by field. A field that could not be measured is left out.
    public var values: JSONObject
    /// When it was measured, in microseconds since 1970; nil stands for the moment at which `read` was called.
    public var time: Int64?

    public init(_ values: JSONObject, time: Int64? = nil) {
        self.values = values
        self.time = time
    }

    /// The fields that have a value.
    ///
    /// - Throws: `SensorFault` for a field that `type` does not have or a value that does not fit it: the hub could
    ///   not store such a reading.
    func checked(against type: SensorType) throws(SensorFault) -> JSONObject {
        var checked = JSONObject()
        for member in values where member.value != .null {
            guard let field = type.field(member.key) else {
                throw SensorFault("the driver gave '\(member.key)', which type '\(type.name)' does not have")
            }
            guard field.type.accepts(member.value) else {
                throw SensorFault(
                    "the driver gave \(member.value.kind) for '\(field.name)', expected \(field.type.expectation)")
            }
            if case .double(let number) = member.value, !number.isFinite { continue }
            checked[member.key] = member.value
        }
        return checked
    }
}

extension SensorType {
    /// What of a driver's values the type has fields for.
    public func select(_ values: JSONObject) -> JSONObject {
        var selected = JSONObject()
        for member in values where field(member.key) != nil { selected[member.key] = member.value }
        return selected
    }
}
