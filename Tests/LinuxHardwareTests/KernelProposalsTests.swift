import Glibc
import SensorKit
import TestSupport
import Testing

@testable import LinuxHardware

/// A driver for just one thing, and one for any.
private struct Special: Driver {
    static let name = "special"
    static let summary = ""
    static let defaultInterval = Duration.seconds(1)

    static func sensors(of devices: KernelDevices) -> [KernelSensor] {
        devices.all(.oneWire).map { KernelSensor($0, attributes: ["device": .string($0.entry)]) }
    }

    init(_ context: DriverContext) throws(ValidationError) {}
    mutating func read() throws(SensorFault) -> [Measurement] { [] }
}

private struct General: Driver {
    static let name = "general"
    static let summary = ""
    static let defaultInterval = Duration.seconds(1)

    static func sensors(of devices: KernelDevices) -> [KernelSensor] {
        devices.all(.hwmon).map { device in
            let channels = ((try? device.files()) ?? []).filter { $0.hasSuffix("_input") }
            return KernelSensor(
                device, attributes: ["device": .string(device.entry)],
                ownType: KernelSensor.OwnType(
                    fields: channels.map { Field(name: $0, type: .float) },
                    functions: [ControlFunction(name: "set", parameters: [Field(name: "to", type: .int)])]))
        }
    }

    init(_ context: DriverContext) throws(ValidationError) {}
    mutating func read() throws(SensorFault) -> [Measurement] { [] }
}

@Suite struct KernelProposalsTests {
    private let sys = TemporaryFolder()

    private func proposals() -> KernelProposals {
        KernelProposals(KernelDevices(root: sys.path), [General.self, Special.self])
    }

    private func hwmon(_ entry: String, name: String, _ files: String...) throws {
        for (file, text) in [("name", name)] + files.map({ ($0, "1") }) {
            try sys.write("sys/class/hwmon/\(entry)/\(file)", "\(text)\n")
        }
    }

    @Test func nothingThere() {
        #expect(proposals().devices.isEmpty && proposals().sensors.isEmpty && proposals().types.isEmpty)
    }

    @Test func anEntryAndAType() throws {
        try hwmon("hwmon0", name: "cpu thermal", "temp1_input")
        let found = proposals()
        #expect(found.devices == [["subsystem": "hwmon", "device": "hwmon0", "name": "cpu thermal"]])
        #expect(
            found.sensors == [
                [
                    "name": "general-hwmon0", "sensor_type": "general-cpu-thermal", "driver": "general",
                    "device": "hwmon0",
                ]
            ])
        #expect(
            found.types == [
                [
                    "name": "general-cpu-thermal", "sensor_data_structure": ["temp1_input": "float"],
                    "control_functions": [["name": "set", "params": [["name": "to", "type": "int"]]]],
                ]
            ])
        for type in found.types { _ = try SensorType(DocumentReader(type)) }
    }

    /// Two disks share a type; another device that happens to have the same name has one of its own.
    @Test func devicesOfOneName() throws {
        try hwmon("hwmon0", name: "nvme", "temp1_input")
        try hwmon("hwmon1", name: "nvme", "temp1_input")
        try hwmon("hwmon2", name: "nvme", "temp1_input", "temp2_input")
        let found = proposals()
        #expect(found.types.map { $0["name"] } == ["general-nvme", "general-nvme-2"])
        #expect(found.sensors.map { $0["sensor_type"] } == ["general-nvme", "general-nvme", "general-nvme-2"])
        #expect(Set(found.sensors.map { $0["name"]?.string }).count == 3)
    }

    /// The kernel shows a 1-wire thermometer as hwmon too.
    @Test func theDriverForJustThisGoesFirst() throws {
        try sys.makeFolder("sys/bus/w1/devices/28-0316a2795cff")
        try hwmon("hwmon5", name: "w1_slave_temp", "temp1_input")
        #expect(symlink("../../../bus/w1/devices/28-0316a2795cff", "\(sys.path)/sys/class/hwmon/hwmon5/device") == 0)
        let found = proposals()
        #expect(found.devices.count == 2)
        #expect(found.sensors.map { $0["driver"] } == ["special"])
        #expect(found.sensors[0]["name"] == "special-28-0316a2795cff")
        #expect(found.types.isEmpty)
    }

    @Test func namesThatAreNone() throws {
        try hwmon("hwmon0", name: String(repeating: "ä/", count: 60), "temp1_input")
        let name = try #require(proposals().types[0]["name"]?.string)
        #expect(Identifier(name) != nil)
    }
}
