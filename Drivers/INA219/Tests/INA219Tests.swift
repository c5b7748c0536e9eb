import HardwareSupport
import SensorKit
import Testing

@testable import Drivers

@Suite struct INA219FormulaTests {
    @Test func busVoltage() {
        // Data sheet, "Register Results for the Example Circuit": 0x5D98 is 11.98 V.
        #expect(INA219BusVoltage(register: 0x5D98).volts == 11.98)
        #expect(!INA219BusVoltage(register: 0x5D98).isReady)
        #expect(INA219BusVoltage(register: 0x5D9A).isReady)
        #expect(INA219BusVoltage(register: 0x1F40 << 3).volts == 32)
    }

    @Test func configuration() throws {
        // As after a reset, but for the mode and with a sample asked for in the other way that is the same.
        let settings = try INA219Settings(DocumentReader([:]))
        #expect(settings.configuration == 0b0011_1100_0100_0011)
        let other = try INA219Settings(
            DocumentReader(["shunt_range_mv": 80, "bus_range_volts": 16, "samples": 128]))
        #expect(other.configuration == 0b0000_1111_1111_1011)
        #expect(other.shuntLimit == 8_000)
        // 68.10 ms for each, typically.
        #expect(other.maximumDuration > .microseconds(2 * 68_100))
    }
}

@Suite struct INA219Tests {
    private let hardware = ScriptedHardware()
    private let chip = CannedChip()
    private let reset: [UInt8] = [0x39, 0x9F]
    private let settings: [UInt8] = [0x3C, 0x43]

    private func driver(
        _ attributes: JSONObject = [:], fields: [Field] = INA219Driver.fields
    ) throws -> INA219Driver {
        hardware.chips[0x40] = chip
        var all: JSONObject = ["i2c": 1]
        for member in attributes { all[member.key] = member.value }
        return try INA219Driver(hardware.context(fields: fields, functions: INA219Driver.functions, attributes: all))
    }

    private func value(_ name: String, _ values: JSONObject) -> Double { values[name]?.double ?? .nan }

    /// Data sheet, "Register Results for the Example Circuit".
    @Test func workedExampleOfTheDataSheet() throws {
        chip.answers = [reset, [0x5D, 0x9A], [0x07, 0xD0], settings]
        var driver = try driver(["shunt_ohms": 0.002])
        let values = try #require(try driver.read().first?.values)
        #expect(value("bus_voltage_volts", values) == 11.98)
        #expect(abs(value("shunt_voltage_volts", values) - 0.02) < 1e-12)
        #expect(abs(value("current_amperes", values) - 10) < 1e-9)
        #expect(abs(value("power_watts", values) - 119.8) < 1e-8)
        #expect(chip.written == [[0, 0x80, 0x00], [0], [0, 0x3C, 0x43], [2], [1], [0]])
    }

    /// Data sheet, "Shunt Voltage Register": −320 mV are 0x8300.
    @Test func currentTheOtherWay() throws {
        chip.answers = [reset, [0x5D, 0x9A], [0x83, 0x01], settings]
        var driver = try driver(fields: [Field(name: "current_amperes", type: .float)])
        let values = try #require(try driver.read().first?.values)
        #expect(values.count == 1)
        #expect(abs(value("current_amperes", values) - -3.1999) < 1e-9)
    }

    @Test(
        arguments: [
            ([:], [[0x60, 0xA0]], "no INA219: after a reset its configuration is 0x60 0xA0 instead of 0x39 0x9F"),
            ([:], [[0x39, 0x9F], [0x5D, 0x98], [0, 0], [0x3C, 0x43]], "the measurement did not end in time"),
            (
                [:], [[0x39, 0x9F], [0x5D, 0x9A], [0, 0], [0x39, 0x9F]], "the settings are not what they were set to"
            ),
            (
                [:], [[0x39, 0x9F], [0xFA, 0x02], [0, 0], [0x3C, 0x43]],
                "a bus voltage of 32.0 V is outside of what the chip can measure"
            ),
            (
                [:], [[0x39, 0x9F], [0x5D, 0x9A], [0x83, 0x00], [0x3C, 0x43]],
                "there is 320 mV or more at the shunt, 3.2 A with the shunt_ohms given"
            ),
            (
                ["shunt_range_mv": 40], [[0x39, 0x9F], [0x5D, 0x9A], [0x0F, 0xA0], [0x24, 0x43]],
                "a greater shunt_range_mv measures more"
            ),
            (
                ["bus_range_volts": 16], [[0x39, 0x9F], [0x7D, 0x02], [0, 0], [0x1C, 0x43]],
                "there are 16 V or more at the bus; bus_range_volts 32 measures more"
            ),
        ] as [(JSONObject, [[UInt8]], String)])
    func whatIsNoMeasurement(attributes: JSONObject, answers: [[UInt8]], message: String) throws {
        chip.answers = answers
        var driver = try driver(attributes)
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains(message) == true)
    }

    @Test func controls() throws {
        var driver = try driver()
        try driver.control(ControlCall(id: "1", function: "set_shunt_range", parameters: ["shunt_range_mv": 40]))
        try driver.control(ControlCall(id: "2", function: "set_samples", parameters: ["samples": 2]))
        chip.answers = [reset, [0x5D, 0x9A], [0, 1], [0x24, 0xCB]]
        _ = try driver.read()
        #expect(chip.written[2] == [0, 0x24, 0xCB])
        #expect(throws: ControlError.refused("shunt_range_mv: 41 is none of 40, 80, 160, 320")) {
            try driver.control(ControlCall(id: "3", function: "set_shunt_range", parameters: ["shunt_range_mv": 41]))
        }
    }

    @Test(
        arguments: [
            (["samples": 3], "samples: 3 is none of 1, 2, 4, 8, 16, 32, 64, 128"),
            (["shunt_ohms": 0], "shunt_ohms: must be from 0.00001 to 1000 Ω, is 0.0"),
            (["bus_range_volts": 26], "bus_range_volts: 26 is none of 16, 32"),
        ] as [(JSONObject, String)])
    func wrongAttributes(attributes: JSONObject, message: String) {
        let error = #expect(throws: ValidationError.self) { try driver(attributes) }
        #expect(error?.description == message)
    }
}
