import HardwareSupport
import SensorKit
import TestSupport
import Testing

@testable import Drivers

@Suite struct HwmonTests {
    private let hardware = ScriptedHardware()
    private let sys = TemporaryFolder()

    private func driver(_ channels: JSONObject, device: String = "coretemp") throws -> HwmonDriver {
        hardware.kernelDevices = KernelDevices(root: sys.path)
        let fields = channels.map { Field(name: $0.key, type: .float) }
        return try HwmonDriver(
            hardware.context(
                fields: fields, functions: KernelSettings.functions,
                attributes: ["device": .string(device), "channels": .object(channels)]))
    }

    private func says(_ files: [(String, String)], folder: String = "hwmon3", name: String = "coretemp") throws {
        for (file, text) in [("name", name)] + files {
            try sys.write("sys/class/hwmon/\(folder)/\(file)", "\(text)\n")
        }
    }

    private func reason(_ driver: inout HwmonDriver) -> String {
        do throws(SensorFault) {
            return "\(try driver.read())"
        } catch {
            return error.reason
        }
    }

    /// Units of Documentation/hwmon/sysfs-interface.
    @Test func readsInUnitsThatPeopleUse() throws {
        try says([
            ("temp1_input", "45500"), ("in0_input", "1200"), ("curr1_input", "250"), ("power1_input", "5500000"),
            ("energy1_input", "12500000"), ("humidity1_input", "40500"), ("fan1_input", "1200"), ("pwm1", "128"),
        ])
        var driver = try driver([
            "t": "temp1", "u": "in0", "i": "curr1", "p": "power1", "e": "energy1", "h": "humidity1", "f": "fan1",
            "w": "pwm1",
        ])
        let expected: JSONObject = [
            "t": 45.5, "u": 1.2, "i": 0.25, "p": 5.5, "e": 12.5, "h": 40.5, "f": 1_200.0, "w": 128.0,
        ]
        #expect(try driver.read().map(\.values) == [expected])
    }

    @Test func findsAChannelByItsLabel() throws {
        try says([
            ("temp1_input", "45000"), ("temp1_label", "Package id 0"), ("temp2_input", "44000"),
            ("temp2_label", "Core 0"),
        ])
        var right = try driver(["t": "Core 0"])
        #expect(try right.read()[0].values["t"] == 44.0)
        var wrong = try driver(["t": "Core 1"])
        #expect(
            reason(&wrong)
                == """
                hwmon3 (coretemp) has no channel 'Core 1', but temp1, Package id 0, temp2, Core 0 (did you mean \
                'Core 0'?)
                """)
    }

    @Test func whatTheKernelCallsAFault() throws {
        try says([("temp1_input", "127000"), ("temp1_fault", "1")])
        var driver = try driver(["t": "temp1"])
        #expect(reason(&driver) == "hwmon3 (coretemp): the kernel says that temp1 is at fault")
    }

    /// What `sensorhub detect` prints is to work, also with two of one name.
    @Test func proposesItself() throws {
        try says([
            ("temp1_input", "45000"), ("temp1_max", "90000"), ("in0_input", "1200"), ("fan1_input", "900"),
            ("pwm1", "3"),
        ])
        try says([("power1_input", "1000000")], folder: "hwmon4", name: "twin")
        try says([("power1_input", "2000000")], folder: "hwmon5", name: "twin")
        try says([], folder: "hwmon6", name: "nothing")
        let found = HwmonDriver.sensors(of: KernelDevices(root: sys.path))
        #expect(found.map { $0.attributes["device"] } == ["coretemp", "hwmon4", "hwmon5"])
        #expect(
            found[0].attributes["channels"]
                == ["fan1_rpm": "fan1", "in0_v": "in0", "temp1_celsius": "temp1"])
        let values: [JSONObject] = [
            ["fan1_rpm": 900.0, "in0_v": 1.2, "temp1_celsius": 45.0], ["power1_w": 1.0], ["power1_w": 2.0],
        ]
        for (sensor, expected) in zip(found, values) {
            var driver = try driver(
                try #require(sensor.attributes["channels"]?.object),
                device: try #require(sensor.attributes["device"]?.string))
            #expect(try driver.read().map(\.values) == [expected])
        }
    }

    @Test func twoOfOneName() throws {
        try says([("temp1_input", "1000")])
        try says([("temp1_input", "2000")], folder: "hwmon4")
        var both = try driver(["t": "temp1"])
        #expect(reason(&both) == "'coretemp' stands for 2 hwmon devices: hwmon3 (coretemp), hwmon4 (coretemp)")
        var one = try driver(["t": "temp1"], device: "hwmon4")
        #expect(try one.read()[0].values["t"] == 2.0)
    }
}
