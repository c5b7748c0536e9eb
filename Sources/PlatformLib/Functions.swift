public import HubModel
public import SimdJSON

extension Platform {
    /// The data topic of the first sensor at a position; under the name that the platform's users know.
    ///
    /// - Throws: `PlatformError` for another instance's id, a position that there is not, or no binding in time.
    public func getSensorData(_ instanceID: String, _ index: Int) async throws(PlatformError) -> String {
        try check(instanceID)
        return try sensor(at: index, in: await binding()).dataTopic
    }

    /// Controls the first sensor at a position; under the name that the platform's users know.
    ///
    /// - Parameter value: `{"function": name, parameter: value, …}`, or the value alone where the sensor has one control
    ///   function with one parameter.
    /// - Throws: `PlatformError`, as `call` does.
    @discardableResult
    public func setSensorData(
        _ instanceID: String, _ index: Int, _ value: JSON
    ) async throws(PlatformError) -> ControlReply {
        try check(instanceID)
        let sensor = try sensor(at: index, in: await binding())
        if var parameters = value.object, let function = parameters["function"]?.string {
            parameters["function"] = nil
            return try await call(sensor.id, function, parameters)
        }
        guard sensor.functions.count == 1, sensor.functions[0].parameters.count == 1 else {
            let functions = sensor.functions.map { "\($0.name)(\($0.parameters.map(\.name).joined(separator: ", ")))" }
            throw PlatformError(
                .invalid,
                "a value alone does not say which function of '\(sensor.id)' is meant: give "
                    + "{\"function\": name, …} with one of \(functions.joined(separator: ", "))")
        }
        return try await call(sensor.id, sensor.functions[0].name, [sensor.functions[0].parameters[0].name: value])
    }

    private func check(_ instanceID: String) throws(PlatformError) {
        guard instanceID == environment.instance.text else {
            throw PlatformError(.invalid, "this is instance '\(environment.instance)', not '\(instanceID)'")
        }
    }
}
