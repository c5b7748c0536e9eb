import HardwareSupport
import SensorKit
import Testing

@testable import Drivers

@Suite struct PCA9685FormulaTests {
    /// Data sheet, 7.3.5: 200 Hz with the internal oscillator takes 1Eh.
    @Test func workedExampleOfTheDataSheet() throws {
        #expect(try PCA9685Frequency.prescale(DocumentReader(200), oscillator: 25e6) == 0x1E)
    }

    /// Data sheet, 7.3.5: 03h is 1526 Hz, FFh is 24 Hz.
    @Test func limits() {
        #expect(PCA9685Frequency.hertz(0x03, oscillator: 25e6).rounded() == 1_526)
        #expect(PCA9685Frequency.hertz(0xFF, oscillator: 25e6).rounded() == 24)
        for hertz in [0.0, -50, 23, 1_800] {
            #expect(throws: ValidationError.self) {
                try PCA9685Frequency.prescale(DocumentReader(.double(hertz)), oscillator: 25e6)
            }
        }
    }

    @Test func duties() {
        #expect(PCA9685Duty(percent: 0).registers == [0, 0, 0, 0x10])
        #expect(PCA9685Duty(percent: 100).registers == [0, 0x10, 0, 0])
        #expect(PCA9685Duty(percent: 50).registers == [0, 0, 0x00, 0x08])
        #expect(PCA9685Duty(percent: 7.5).steps == 307)
    }
}

@Suite struct PCA9685Tests {
    private let hardware = ScriptedHardware()
    private let chip = RegisterChip([0x00: [0x11, 0x04], 0xFE: [0x1E]])

    private func driver(_ attributes: JSONObject = [:]) throws -> PCA9685Driver {
        hardware.chips[0x40] = chip
        var all: JSONObject = ["i2c": 1]
        for member in attributes { all[member.key] = member.value }
        return try PCA9685Driver(
            hardware.context(fields: PCA9685Driver.fields, functions: PCA9685Driver.functions, attributes: all))
    }

    private func call(_ function: String, _ parameters: JSONObject) -> ControlCall {
        ControlCall(id: "1", function: function, parameters: parameters)
    }

    private func channel(_ number: Int) -> [UInt8] { Array(chip.registers[(6 + 4 * number)..<(10 + 4 * number)]) }

    @Test func isSafeAtFirstAndInTheEnd() throws {
        var driver = try driver(["frequency_hz": 50, "safe": ["1": 25], "inverted": true])
        let values = try #require(try driver.read().first).values
        #expect(values["duty_1_percent"] == 25.0 && values["duty_0_percent"] == 0.0)
        #expect(chip.registers[0x00] == 0x20 && chip.registers[0x01] == 0x14 && chip.registers[0xFE] == 121)
        #expect(channel(0) == [0, 0, 0, 0x10] && channel(1) == [0, 0, 0, 4])
        try driver.control(call("set_servo", ["channel": 15, "pulse_us": 1_500]))
        #expect(channel(15) == [0, 0, 0x33, 0x01])
        driver.stop()
        #expect(channel(15) == [0, 0, 0, 0x10] && channel(1) == [0, 0, 0, 4])
    }

    @Test func aChipWithoutPowerIsSetUpAnew() throws {
        var driver = try driver()
        try driver.control(call("set_duty", ["channel": 2, "percent": 100]))
        chip.registers[0x00] = 0x11
        chip.set(6, [UInt8](repeating: 0, count: 64))
        _ = try driver.read()
        #expect(chip.registers[0x00] == 0x20 && channel(2) == [0, 0x10, 0, 0])
    }

    @Test func anotherChip() throws {
        hardware.chips[0x41] = CannedChip()
        var driver = try driver(["i2c_address": "0x41"])
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains("is no PCA9685: its registers do not keep") == true)
    }

    @Test(
        arguments: [
            ("set_duty", ["channel": 16, "percent": 1], "channel: must be from 0 to 15, is 16"),
            ("set_duty", ["channel": 0, "percent": 100.5], "percent: must be from 0.0 to 100.0, is 100.5"),
            ("set_frequency", ["hz": 5], "hz: must be from 24 to 1525 Hz, is 5.0"),
        ] as [(String, JSONObject, String)])
    func refused(function: String, parameters: JSONObject, message: String) throws {
        var driver = try driver()
        let error = #expect(throws: ControlError.self) { try driver.control(call(function, parameters)) }
        #expect(error == .refused(message))
    }

    @Test(
        arguments: [
            (["i2c_address": "0x70"], "i2c_address: 0x70 is no address that this chip can have"),
            (["frequency_hz": 2_000], "frequency_hz: must be from 24 to 1525 Hz, is 2000.0"),
            (["oscillator_hz": 1], "oscillator_hz: must be from 20000000.0 to 30000000.0, is 1.0"),
            (["safe": ["01": 1]], "safe.01: '01' is no channel: they are 0 to 15"),
        ] as [(JSONObject, String)])
    func wrongAttributes(attributes: JSONObject, message: String) {
        let error = #expect(throws: ValidationError.self) { try driver(attributes) }
        #expect(error?.description.hasPrefix(message) == true)
    }
}
