import HardwareSupport
import SensorKit
import Testing

@testable import Drivers

@Suite struct TMP102FormulaTests {
    /// Data sheet, "13-Bit Temperature Data Format".
    @Test(
        arguments: [
            (0x0960, 150), (0x0800, 128), (0x07FF, 127.9375), (0x0640, 100), (0x0500, 80), (0x04B0, 75), (0x0320, 50),
            (0x0190, 25), (0x0004, 0.25), (0x0000, 0), (0x1FFC, -0.25), (0x1E70, -25), (0x1C90, -55),
        ] as [(UInt16, Double)])
    func workedExamplesOfTheDataSheet(digits: UInt16, celsius: Double) {
        // 13 bits, left-justified; bit 0 tells of the extended mode.
        #expect(TMP102Temperature.celsius(digits << 3 | 1) == celsius)
    }
}

@Suite struct TMP102Tests {
    private let hardware = ScriptedHardware()
    private let chip = CannedChip()

    private func driver(_ attributes: JSONObject = ["i2c": 1]) throws -> TMP102Driver {
        hardware.chips[0x48] = chip
        return try TMP102Driver(hardware.context(fields: TMP102Driver.fields, attributes: attributes))
    }

    @Test func convertsOnce() throws {
        chip.answers = [[0xE1, 0xB0], [0x0C, 0x81]]
        var driver = try driver()
        #expect(try driver.read().map(\.values) == [["temperature_celsius": .double(25)]])
        #expect(chip.written == [[0x01, 0x81, 0x90], [0x01], [0x00]])
    }

    @Test(
        arguments: [
            // What an LM75 says, and a chip that does not keep what is written.
            ([[0x81, 0x81]], "no TMP102: its configuration is 0x81 0x81 after it was set to 0x81 0x90"),
            ([[0x60, 0xA0]], "no TMP102: its configuration is 0x60 0xA0"),
            ([[0x61, 0xB0]], "a conversion that takes 35 ms at most did not end"),
            ([[0xE1, 0xB0], [0x7F, 0xF9]], "a temperature of 255.94 °C is outside of what the chip can measure"),
        ] as [([[UInt8]], String)])
    func whatIsNoMeasurement(answers: [[UInt8]], message: String) throws {
        chip.answers = answers
        var driver = try driver()
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains(message) == true)
    }

    @Test(
        arguments: [
            ([:], "'i2c' is missing"),
            (
                ["i2c": 1, "i2c_address": "0x4C"],
                "i2c_address: 0x4C is no address that this chip can have: 0x48, 0x49, 0x4A, 0x4B"
            ),
        ] as [(JSONObject, String)])
    func wrongAttributes(attributes: JSONObject, message: String) {
        let error = #expect(throws: ValidationError.self) { try driver(attributes) }
        #expect(error?.description == message)
    }
}
