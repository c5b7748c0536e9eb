import HardwareSupport
import SensorKit
import TestSupport
import Testing

@testable import Drivers

@Suite struct IIOTests {
    private let hardware = ScriptedHardware()
    private let sys = TemporaryFolder()
    private let folder = "sys/bus/iio/devices/iio:device0"

    private func driver(
        _ attributes: JSONObject, fields: [Field] = [Field(name: "value", type: .float)]
    ) throws -> IIODriver {
        hardware.kernelDevices = KernelDevices(root: sys.path)
        try sys.write("\(folder)/name", "chip\n")
        var all: JSONObject = ["device": "chip"]
        for member in attributes { all[member.key] = member.value }
        return try IIODriver(
            hardware.context(fields: fields, functions: KernelSettings.functions, attributes: all))
    }

    private func reason(_ driver: inout IIODriver) -> String {
        do throws(SensorFault) {
            return "\(try driver.read())"
        } catch {
            return error.reason
        }
    }

    @Test func readsWhatIsFinishedAndWhatIsRaw() throws {
        for (file, text) in [
            ("in_temp_input", "21500"), ("in_voltage0_raw", "100"), ("in_voltage0_offset", "-20"),
            ("in_voltage_scale", "0.5"), ("in_illuminance_raw", "300"),
        ] { try sys.write("\(folder)/\(file)", "\(text)\n") }
        var driver = try driver(
            [
                "channels": [
                    "celsius": "temp", "volt": ["channel": "voltage0", "factor": 11, "offset": 0.5],
                    "lux": "illuminance",
                ]
            ],
            fields: [
                Field(name: "celsius", type: .float), Field(name: "volt", type: .float), Field(name: "lux", type: .int),
            ])
        let values = try driver.read()[0].values
        #expect(values["celsius"] == 21.5)
        // (100 - 20) · 0.5 mV, then eleven times that and half a volt.
        #expect(abs(values["volt"]!.double! - 0.94) < 1e-12)
        #expect(values["lux"] == .int(300))
    }

    /// What `sensorhub detect` prints is to work: each channel under a name that a field can have.
    @Test func proposesItself() throws {
        for file in [
            "in_temp_input", "in_humidityrelative_raw", "in_voltage0-voltage1_raw", "in_voltage0_raw",
            "in_voltage0_input", "in_accel_x_raw", "in_voltage_scale", "in_temp_offset", "uevent",
        ] { try sys.write("\(folder)/\(file)", "1\n") }
        try sys.write("\(folder)/name", "chip\n")
        try sys.write("sys/bus/iio/devices/trigger0/name", "a trigger\n")
        try sys.write("sys/bus/iio/devices/iio:device1/name", "nothing to read\n")
        let found = IIODriver.sensors(of: KernelDevices(root: sys.path))
        #expect(found.count == 1)
        let channels: JSONObject = [
            "accel_x": "accel_x", "humidityrelative_percent": "humidityrelative", "temp_celsius": "temp",
            "voltage0_voltage1_v": "voltage0-voltage1", "voltage0_v": "voltage0",
        ]
        #expect(found[0].attributes == ["device": "chip", "channels": .object(channels)])
        let type = try #require(found[0].ownType)
        var driver = try driver(found[0].attributes, fields: type.fields)
        #expect(try driver.read()[0].values.count == 5)
    }

    /// The scale of differences is a file of its own, where it is one for all of them.
    @Test func differencesHaveTheirScale() throws {
        for (file, text) in [
            ("in_voltage0-voltage1_raw", "100"), ("in_voltage-voltage_scale", "2"), ("in_voltage_scale", "7"),
        ] { try sys.write("\(folder)/\(file)", "\(text)\n") }
        var driver = try driver(["channels": ["value": "voltage0-voltage1"]])
        #expect(try driver.read()[0].values["value"] == 0.2)
    }

    @Test func whatIsNotThere() throws {
        try sys.write("\(folder)/in_temp_input", "21500\n")
        var wrong = try driver(["channels": ["value": "tmp"]])
        #expect(reason(&wrong) == "iio:device0 (chip) has no channel 'tmp' (did you mean 'temp'?)")
        var gone = try driver(["device": "chap", "channels": ["value": "temp"]])
        #expect(reason(&gone) == "there is no IIO device 'chap'; there are: iio:device0 (chip) (did you mean 'chip'?)")
    }

    @Test func whatCannotBe() throws {
        try sys.write("\(folder)/in_temp_input", "210500\n")
        var driver = try driver(["channels": ["value": ["channel": "temp", "minimum": -40, "maximum": 85]]])
        #expect(reason(&driver) == "temp says 210.5, which lies outside of -40.0 to 85.0")
        try sys.write("\(folder)/in_temp_input", "warm\n")
        #expect(reason(&driver).hasSuffix("in_temp_input says 'warm', which is no number"))
    }

    @Test func sets() throws {
        try sys.write("\(folder)/in_temp_input", "1000\n")
        try sys.write("\(folder)/in_temp_oversampling_ratio", "1")
        var driver = try driver([
            "channels": ["value": "temp"], "settings": ["in_temp_oversampling_ratio": "2"],
        ])
        func written() throws -> String { try File.text(of: "\(sys.path)/\(folder)/in_temp_oversampling_ratio") }
        _ = try driver.read()
        #expect(try written() == "2")
        let call = ControlCall(
            id: "1", function: "set", parameters: ["setting": "in_temp_oversampling_ratio", "value": "4"])
        try driver.control(call)
        _ = try driver.read()
        #expect(try written() == "4")
        let other = ControlCall(id: "2", function: "set", parameters: ["setting": "in_temp_scale", "value": "4"])
        let error = #expect(throws: ControlError.self) { try driver.control(other) }
        #expect(error?.reason.hasPrefix("setting: 'in_temp_scale' is not in the attribute 'settings'") == true)
    }

    @Test(
        arguments: [
            ([:], "'channels' is missing"), (["channels": [:]], "channels: 'value' is missing"),
            (["channels": ["valve": "temp"]], "channels: unknown key 'valve' (did you mean 'value'?)"),
            (
                ["channels": ["value": "../name"]],
                "channels.value: '../name' is no name in the kernel's folder of a device"
            ),
            (
                ["channels": ["value": ["channel": "temp", "minimum": 2, "maximum": 1]]],
                "channels.value: minimum 2.0 contradicts maximum 1.0"
            ),
            (
                ["channels": ["value": "temp"], "settings": ["../../x": 1]],
                "settings.../../x: '../../x' is no name in the kernel's folder of a device"
            ),
        ] as [(JSONObject, String)])
    func wrongAttributes(attributes: JSONObject, message: String) {
        let error = #expect(throws: ValidationError.self) { try driver(attributes) }
        #expect(error?.description == message)
    }
}
