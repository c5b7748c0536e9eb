import HardwareSupport
import SensorKit
import Testing

@testable import Drivers

@Suite struct TCS34725Tests {
    private let hardware = ScriptedHardware()
    private let chip = CannedChip()

    private func driver(_ attributes: JSONObject = [:]) throws -> TCS34725Driver {
        hardware.chips[0x29] = chip
        var all: JSONObject = ["i2c": 1, "integration_time_ms": 2.4]
        for member in attributes { all[member.key] = member.value }
        return try TCS34725Driver(
            hardware.context(fields: TCS34725Driver.fields, functions: TCS34725Driver.functions, attributes: all))
    }

    @Test func asksWhoIsThereThenMeasures() throws {
        // IR = (300 + 200 + 100 - 400) / 2 = 100: R' 200, G' 100, B' 0; 310 / (2.4 · 1) lux for each count.
        chip.answers = [[0x4D], [1, 0x90, 0x01, 0x2C, 0x01, 0xC8, 0x00, 0x64, 0x00]]
        var driver = try driver(["gain": 1])
        let values = try #require(try driver.read().first).values
        #expect(values["clear_count"] == 400 && values["red_count"] == 300 && values["blue_count"] == 100)
        #expect(values["colour_temperature_kelvin"] == 1_391.0)
        #expect(try abs(#require(values["illuminance_lux"]?.double) - 127.2 * 310 / 2.4) < 1e-6)
        #expect(chip.written == [[0x92], [0x80, 1], [0x81, 255], [0x8F, 0], [0x80, 3], [0xB3], [0x80, 0]])
    }

    /// Data sheet, "RGBC Timing Register": FFh is 2.4 ms, F6h 24, D6h 101, C0h 154, 00h 614 (then called 700).
    @Test(arguments: [(2.4, 0xFF), (24, 0xF6), (101, 0xD6), (154, 0xC0), (614.4, 0x00)] as [(Double, UInt8)])
    func integrationTimes(milliseconds: Double, register: UInt8) throws {
        var settings = TCS34725Settings()
        try settings.setTime(DocumentReader(.double(milliseconds)))
        #expect(settings.timeRegister == register)
        #expect(settings.maximumDuration < .milliseconds(700))
    }

    @Test func tooMuchLightIsNoMeasurement() throws {
        // 1024 is the limit, and 768 that for light that flickers.
        chip.answers = [[0x44], [1, 0x00, 0x03, 0, 1, 0, 1, 0, 1]]
        var driver = try driver()
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains("there is more light than can be measured") == true)
        chip.answers = [[1, 0xFF, 0x02, 0, 1, 0, 1, 0, 1]]
        #expect(try driver.read().count == 1)
    }

    @Test func anotherChip() throws {
        chip.answers = [[0x50]]
        var driver = try driver()
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains("is no TCS34725: its id is 0x50") == true)
    }

    @Test func notReadyIsNoMeasurement() throws {
        chip.answers = [[0x44], [0]]
        var driver = try driver()
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.hasSuffix("the measurement did not end in time") == true)
    }

    @Test(
        arguments: [
            (["gain": 3], "gain: 3 is none of 1, 4, 16, 60"),
            (["integration_time_ms": 700], "integration_time_ms: must be from 2.4 to 614.4, is 700.0"),
            (["glass_attenuation": 0], "glass_attenuation: must be from 0.1 to 1000.0, is 0.0"),
        ] as [(JSONObject, String)])
    func wrongAttributes(attributes: JSONObject, message: String) {
        let error = #expect(throws: ValidationError.self) { try driver(attributes) }
        #expect(error?.description == message)
    }
}
