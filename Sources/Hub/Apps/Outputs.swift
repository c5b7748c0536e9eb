import HubModel

extension HubCore {
    /// The sensors that a deployment is to publish the readings of, one for each of the algorithm's `output_sensors`. A
    /// sensor has one source: two would use the same numbers for different readings.
    ///
    /// - Parameter earlier: the outputs of the entries before this one, with the entry's number.
    func checkedOutputs(
        _ sensors: [Identifier], against algorithm: AppManifest.Algorithm, _ reader: DocumentReader,
        after earlier: [(key: String, outputs: [OutputPosition])]
    ) throws -> [OutputPosition] {
        let wanted = algorithm.outputSensors
        let info = try reader.optional("output_info") ?? reader
        guard sensors.count == wanted.count else {
            throw info.error(
                "algorithm '\(algorithm.name)' has \(wanted.count) output sensors, but \(sensors.count) are given "
                    + "in output_info")
        }
        return try zip(sensors, wanted).enumerated().map { index, output in
            let (name, type) = output
            let path = "\(info.path)[\(index)]"
            guard let sensor = registry.sensors[name] else {
                let hint = didYouMean(name.text, among: registry.sensors.keys.map(\.text))
                throw ValidationError(path: path, "sensor '\(name)' is not registered\(hint)")
            }
            guard sensor.type == type else {
                throw ValidationError(
                    path: path,
                    "'\(name)' is of type '\(sensor.type)', but algorithm '\(algorithm.name)' has '\(type)' there")
            }
            if let driver = sensor.driver {
                throw Refusal(
                    .conflict,
                    "\(path): '\(name)' is read by the driver '\(driver)'; register a sensor without a driver for it")
            }
            if try BrokerAccess.hash(of: .sensor(name), in: database) != nil {
                throw Refusal(
                    .conflict,
                    "\(path): '\(name)' is published by a device, which has credentials for it; "
                        + "register another sensor for it")
            }
            if let other = earlier.first(where: { $0.outputs.contains { $0.sensor == name } }) {
                throw ValidationError(path: path, "'\(name)' is written by entry \"\(other.key)\" already")
            }
            if let holder = instances.values.first(where: { $0.writes(name) }) {
                throw Refusal(
                    .conflict,
                    "\(path): '\(name)' is written by '\(holder.id)' already: sensorhub stop \(holder.id), "
                        + "or take another")
            }
            return OutputPosition(sensorType: type, sensor: name)
        }
    }
}
