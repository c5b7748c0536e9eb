import SensorKit

/// Sensors of the kernel's and how the hub's drivers would read them.
struct KernelProposals {
    /// `{"subsystem", "device", "name"}` each.
    private(set) var devices: [JSON] = []
    /// Entries for a sensorInstance.json.
    private(set) var sensors: [JSON] = []
    /// Sensor types, as they are registered, that some of the entries need and no driver comes with.
    private(set) var types: [JSON] = []

    init(_ kernel: KernelDevices, _ drivers: [any Driver.Type]) {
        devices = KernelDevices.Subsystem.allCases.flatMap { subsystem in
            kernel.all(subsystem).map { device in
                [
                    "subsystem": .string(subsystem.rawValue), "device": .string(device.entry),
                    "name": .string(device.name),
                ]
            }
        }
        let found = drivers.flatMap { driver in driver.sensors(of: kernel).map { (driver.name, $0) } }
        // A driver for just this sensor goes before those for any.
        let special = Set(found.filter { $0.1.ownType == nil }.compactMap(\.1.device.thing))
        for (driver, sensor) in found {
            if sensor.ownType != nil, let thing = sensor.device.thing, special.contains(thing) { continue }
            add(sensor, driver)
        }
    }

    private mutating func add(_ sensor: KernelSensor, _ driver: String) {
        let type = sensor.ownType.map { typeName($0, for: "\(driver)-\(sensor.device.name)") } ?? driver
        var entry: JSONObject = [
            "name": .string(instanceName("\(driver)-\(sensor.attributes["device"]?.string ?? sensor.device.entry)")),
            "sensor_type": .string(type), "driver": .string(driver),
        ]
        for member in sensor.attributes { entry[member.key] = member.value }
        sensors.append(.object(entry))
    }

    /// The type of these fields, which is made where there is none yet.
    private mutating func typeName(_ own: KernelSensor.OwnType, for wanted: String) -> String {
        var number = 1
        while true {
            let name = Self.identifier(wanted, suffix: number == 1 ? "" : "-\(number)")
            let type = own.json(name: name)
            if types.contains(type) { return name }
            if !types.contains(where: { $0["name"] == .string(name) }) {
                types.append(type)
                return name
            }
            number += 1
        }
    }

    private func instanceName(_ wanted: String) -> String {
        var number = 1
        while true {
            let name = Self.identifier(wanted, suffix: number == 1 ? "" : "-\(number)")
            if !sensors.contains(where: { $0["name"] == .string(name) }) { return name }
            number += 1
        }
    }

    /// The text as an id: letters, digits, `_` and `-`, at most 64.
    private static func identifier(_ text: String, suffix: String) -> String {
        let bytes = text.utf8.map { byte in
            Identifier(String(decoding: [byte], as: UTF8.self)) == nil ? UInt8(ascii: "-") : byte
        }
        return String(decoding: bytes.prefix(64 - suffix.utf8.count), as: UTF8.self) + suffix
    }
}

extension KernelSensor.OwnType {
    fileprivate func json(name: String) -> JSON {
        var type: JSONObject = [
            "name": .string(name), "sensor_data_structure": .object(Self.structure(fields)),
        ]
        if !functions.isEmpty {
            type["control_functions"] = .array(
                functions.map { function in
                    let parameters = function.parameters.map { parameter -> JSON in
                        ["name": .string(parameter.name), "type": .string(parameter.type.rawValue)]
                    }
                    return ["name": .string(function.name), "params": .array(parameters)]
                })
        }
        return .object(type)
    }

    private static func structure(_ fields: [Field]) -> JSONObject {
        JSONObject(fields.map { ($0.name, .string($0.type.rawValue)) })
    }
}
