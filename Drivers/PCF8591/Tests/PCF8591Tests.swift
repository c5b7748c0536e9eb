import HardwareSupport
import SensorKit
import Testing

@testable import Drivers

@Suite struct PCF8591Tests {
    private let hardware = ScriptedHardware()
    private let chip = CannedChip()

    private func driver(_ attributes: JSONObject = [:]) throws -> PCF8591Driver {
        hardware.chips[0x48] = chip
        var all: JSONObject = ["i2c": 1, "reference_v": 2]
        for member in attributes { all[member.key] = member.value }
        return try PCF8591Driver(
            hardware.context(fields: PCF8591Driver.fields, functions: PCF8591Driver.functions, attributes: all))
    }

    /// Data sheet, "A/D conversion": code 1 is one 256th of the reference, and differences are in two's complement.
    @Test func theSecondByteIsTheChannels() throws {
        chip.answers = [[0x80, 0], [0, 1], [1, 0xFF], [0xFF, 100]]
        var driver = try driver()
        let values = try driver.read().map(\.values)
        #expect(
            values == [
                ["voltage_0_v": 0.0, "voltage_1_v": 0.0078125, "voltage_2_v": 1.9921875, "voltage_3_v": 0.78125]
            ])
        #expect(chip.written == [[0], [0], [1], [2], [3]])
    }

    @Test func differences() throws {
        chip.answers = [[0, 0xFF], [0, 0x7F]]
        var driver = try driver(["inputs": "two_differential"])
        #expect(try driver.read().map(\.values) == [["voltage_0_v": -0.0078125, "voltage_1_v": 0.9921875]])
        #expect(chip.written == [[0x30], [0x30], [0x31]])
    }

    @Test func outputIsSafeAtFirstAndInTheEnd() throws {
        var driver = try driver(["safe_v": 1])
        #expect(try driver.read().first?.values["output_v"] == 1.0)
        #expect(chip.written[0] == [0x40, 128])
        try driver.control(ControlCall(id: "1", function: "set_output", parameters: ["volts": 2]))
        #expect(chip.written.last == [0x40, 255])
        try driver.control(ControlCall(id: "2", function: "output_off", parameters: [:]))
        #expect(chip.written.last == [0x00])
        driver.stop()
        #expect(chip.written.last == [0x40, 128])
    }

    @Test func whatFailsIsNotDoneLater() throws {
        var driver = try driver()
        chip.error = I2CError(.noAnswer, "nobody")
        let error = #expect(throws: ControlError.self) {
            try driver.control(ControlCall(id: "1", function: "set_output", parameters: ["volts": 1]))
        }
        #expect(error?.code == .failed)
        chip.error = nil
        _ = try driver.read()
        #expect(chip.written[0] == [0])
    }

    @Test(
        arguments: [
            (["i2c_address": "0x50"], "i2c_address: 0x50 is no address that this chip can have"),
            (["inputs": "diff"], "inputs: 'diff' is none of single, three_differential, mixed, two_differential"),
            (["reference_v": 0], "reference_v: must be from 0.1 to 6.0, is 0.0"),
            (["safe_v": 2.6], "safe_v: must be from 0.0 to 2.0, is 2.6"),
        ] as [(JSONObject, String)])
    func wrongAttributes(attributes: JSONObject, message: String) {
        let error = #expect(throws: ValidationError.self) { try driver(attributes) }
        #expect(error?.description.hasPrefix(message) == true)
    }
}
