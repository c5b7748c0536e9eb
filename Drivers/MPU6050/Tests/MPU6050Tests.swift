import HardwareSupport
import SensorKit
import Testing

@testable import Drivers

@Suite struct MPU6050Tests {
    private let hardware = ScriptedHardware()
    private let chip = RegisterChip([0x6B: [0x40], 0x75: [0x68]])

    private func driver(_ attributes: JSONObject = [:]) throws -> MPU6050Driver {
        hardware.chips[0x68] = chip
        var all: JSONObject = ["i2c": 1]
        for member in attributes { all[member.key] = member.value }
        return try MPU6050Driver(
            hardware.context(fields: MPU6050Driver.fields, functions: MPU6050Driver.functions, attributes: all))
    }

    /// Data sheet, 6.1 and 6.2: 16384 for a g at ±2 g, 131 for a degree per second at ±250; register map, 4.18: −340
    /// is 35.53 °C.
    @Test func sensitivitiesOfTheDataSheet() throws {
        chip.set(0x3B, [0x40, 0x00, 0xC0, 0x00, 0x00, 0x00, 0xFE, 0xAC, 0x00, 131, 0xFF, 0x7D, 0x00, 0x00])
        var driver = try driver()
        let values = try #require(try driver.read().first).values
        #expect(values["acceleration_x_g"] == 1.0 && values["acceleration_y_g"] == -1.0)
        #expect(values["rotation_x_dps"] == 1.0 && values["rotation_y_dps"] == -1.0)
        #expect(try abs(#require(values["temperature_celsius"]?.double) - 35.53) < 1e-9)
    }

    @Test func ranges() throws {
        chip.set(0x3B, [0x08, 0x00, 0, 0, 0, 0, 0, 0, 0, 164, 0, 0, 0, 0])
        var driver = try driver(["acceleration_range_g": 16, "rotation_range_dps": 2_000, "bandwidth_hz": 5])
        let values = try #require(try driver.read().first).values
        #expect(values["acceleration_x_g"] == 1.0)
        #expect(try abs(#require(values["rotation_x_dps"]?.double) - 10) < 1e-9)
        #expect(Array(chip.registers[0x1A...0x1C]) == [6, 0x18, 0x18] && chip.registers[0x6B] == 0x01)
        // Asleep again, and with the ranges of power on.
        chip.registers[0x6B] = 0x40
        chip.set(0x1A, [0, 0, 0])
        _ = try driver.read()
        #expect(Array(chip.registers[0x1A...0x1C]) == [6, 0x18, 0x18] && chip.registers[0x6B] == 0x01)
    }

    @Test func theEndOfTheRangeIsNoMeasurement() throws {
        chip.set(0x3B, [0, 0, 0x7F, 0xFF])
        var driver = try driver()
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains("there is an acceleration along y of 2 g or more") == true)
        chip.set(0x3B, [0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0])
        let second = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(second?.reason.contains("there is a rotation about x of 250°/s or more") == true)
    }

    @Test func anotherChip() throws {
        chip.registers[0x75] = 0x70
        var driver = try driver()
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains("is no MPU-6050: WHO_AM_I says 0x70") == true)
    }

    @Test func controls() throws {
        var driver = try driver()
        try driver.control(ControlCall(id: "1", function: "set_rotation_range", parameters: ["dps": 500]))
        _ = try driver.read()
        #expect(chip.registers[0x1B] == 0x08)
        let error = #expect(throws: ControlError.self) {
            try driver.control(ControlCall(id: "2", function: "set_acceleration_range", parameters: ["g": 3]))
        }
        #expect(error == .refused("g: 3 is none of 2, 4, 8, 16"))
    }

    @Test(
        arguments: [
            (["i2c_address": "0x67"], "i2c_address: 0x67 is no address that this chip can have: 0x68, 0x69"),
            (["rotation_range_dps": 100], "rotation_range_dps: 100 is none of 250, 500, 1000, 2000"),
        ] as [(JSONObject, String)])
    func wrongAttributes(attributes: JSONObject, message: String) {
        let error = #expect(throws: ValidationError.self) { try driver(attributes) }
        #expect(error?.description == message)
    }
}
