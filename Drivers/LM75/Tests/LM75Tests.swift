import HardwareSupport
import SensorKit
import Testing

@testable import Drivers

@Suite struct LM75FormulaTests {
    /// The data sheets' tables "Temperature Data Format".
    @Test(
        arguments: [
            (.lm75, [(0x0FA, 125), (0x032, 25), (0x001, 0.5), (0, 0), (0x1FF, -0.5), (0x1CE, -25), (0x192, -55)]),
            (
                .lm75b,
                [
                    (0x3F8, 127), (0x3F7, 126.875), (0x3F1, 126.125), (0x3E8, 125), (0x0C8, 25), (0x001, 0.125),
                    (0x7FF, -0.125), (0x738, -25), (0x649, -54.875), (0x648, -55),
                ]
            ),
            (
                .tmp75,
                [
                    (0x7FF, 127.9375), (0x640, 100), (0x500, 80), (0x4B0, 75), (0x320, 50), (0x190, 25),
                    (0x004, 0.25), (0xFFC, -0.25), (0xE70, -25), (0xC90, -55),
                ]
            ),
        ] as [(LM75Variant, [(UInt16, Double)])])
    func workedExamplesOfTheDataSheets(variant: LM75Variant, examples: [(UInt16, Double)]) {
        for (digits, celsius) in examples {
            let unused = UInt16(16 - variant.bits)
            #expect(variant.celsius(digits << unused) == celsius)
            // What follows is undefined.
            #expect(variant.celsius(digits << unused | (1 << unused - 1)) == celsius)
        }
    }
}

@Suite struct LM75Tests {
    private let hardware = ScriptedHardware()
    private let chip = CannedChip()

    private func driver(_ attributes: JSONObject = ["i2c": 1]) throws -> LM75Driver {
        hardware.chips[0x48] = chip
        return try LM75Driver(hardware.context(fields: LM75Driver.fields, attributes: attributes))
    }

    @Test func asksWhoIsThereOnce() throws {
        chip.answers = [[0x01], [0x00], [0x00], [0x19, 0x00], [0x00], [0xFF, 0x80]]
        var driver = try driver()
        #expect(try driver.read().map(\.values) == [["temperature_celsius": .double(25)]])
        #expect(chip.written == [[1, 0x01], [1], [1, 0x00], [1], [1], [0]])
        #expect(try driver.read().map(\.values) == [["temperature_celsius": .double(-0.5)]])
        #expect(chip.written.count == 8)
    }

    @Test func theTMP75IsSetTo12Bits() throws {
        chip.answers = [[0x61], [0x60], [0x60], [0x19, 0x10], [0x00], [0x61], [0x60], [0x60], [0x19, 0x20]]
        var driver = try driver(["i2c": 1, "chip": "tmp75"])
        #expect(try driver.read().map(\.values) == [["temperature_celsius": .double(25.0625)]])
        // It was without power.
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains("the configuration is 0x00 instead of 0x60") == true)
        #expect(try driver.read().map(\.values) == [["temperature_celsius": .double(25.125)]])
    }

    @Test(
        arguments: [
            ([[0x61]], "no lm75: its configuration is 0x61 after it was set to 0x01"),
            // It says what it was told last, whatever that is.
            ([[0x01], [0x01]], "no lm75: its configuration is 0x01 after it was set to 0x00"),
            (
                [[0x01], [0x00], [0x00], [0x7F, 0x00]],
                "a temperature of 127.0 °C is outside of what the chip can measure"
            ),
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
            (["i2c": 1, "chip": "lm75c"], "chip: 'lm75c' is none of lm75, lm75b, tmp75 (did you mean 'lm75'?)"),
            (["i2c": 1, "chip": 75], "chip: expected text, found a whole number"),
        ] as [(JSONObject, String)])
    func wrongAttributes(attributes: JSONObject, message: String) {
        let error = #expect(throws: ValidationError.self) { try driver(attributes) }
        #expect(error?.description == message)
    }
}
