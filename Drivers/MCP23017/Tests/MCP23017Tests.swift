import HardwareSupport
import SensorKit
import Testing

@testable import Drivers

@Suite struct MCP23017Tests {
    private let hardware = ScriptedHardware()
    private let chip = RegisterChip([0x00: [0xFF, 0xFF]])

    private func driver(_ attributes: JSONObject = [:]) throws -> MCP23017Driver {
        hardware.chips[0x20] = chip
        var all: JSONObject = ["i2c": 1]
        for member in attributes { all[member.key] = member.value }
        return try MCP23017Driver(
            hardware.context(fields: MCP23017Driver.fields, functions: PortOutputs.functions, attributes: all))
    }

    @Test func readsBothPorts() throws {
        chip.set(0x12, [0x81, 0x02])
        var driver = try driver(["pull_ups": ["a0", "b7"]])
        let values = try #require(try driver.read().first).values
        let high = values.filter { $0.value == true }.map(\.key)
        #expect(values.count == 16 && Set(high) == ["a0", "a7", "b1"])
        #expect(Array(chip.registers[0x0C...0x0D]) == [0x01, 0x80])
        #expect(Array(chip.registers[0x00...0x01]) == [0xFF, 0xFF])
    }

    @Test func setsOutputsLevelsFirst() throws {
        chip.set(0x12, [0x00, 0x80])
        var driver = try driver(["outputs": ["a0": "low", "b7": "high"]])
        _ = try driver.read()
        #expect(Array(chip.registers[0x14...0x15]) == [0x00, 0x80])
        #expect(Array(chip.registers[0x00...0x01]) == [0xFE, 0x7F])
        chip.set(0x12, [0x01, 0x80])
        try driver.control(
            ControlCall(id: "1", function: "set_output", parameters: ["output": "a0", "high": true]))
        #expect(chip.registers[0x14] == 0x01)
    }

    @Test func anOutputThatDoesNotFollow() throws {
        chip.set(0x12, [0x00, 0x02])
        var driver = try driver(["outputs": ["b1": "low"]])
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains("b1 does not have the level that it is set to") == true)
    }

    @Test func anotherChip() throws {
        chip.set(0x0A, [0x01, 0x00])
        var driver = try driver()
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains("its register IOCON says 0x01 and 0x00") == true)
    }

    /// It says zeroes, whatever is written.
    @Test func aChipThatKeepsNothing() throws {
        hardware.chips[0x21] = CannedChip()
        var driver = try driver(["i2c_address": "0x21"])
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains("is no MCP23017: its registers do not keep") == true)
    }

    @Test(
        arguments: [
            (["i2c_address": "0x38"], "i2c_address: 0x38 is no address that this chip can have"),
            (["outputs": ["a8": "low"]], "outputs.a8: there is no such pin"),
            (["outputs": ["a0": "low"], "pull_ups": ["a0"]], "pull_ups[0]: 'a0' is an output"),
            (["pull_ups": ["c0"]], "pull_ups[0]: 'c0' is no pin"),
        ] as [(JSONObject, String)])
    func wrongAttributes(attributes: JSONObject, message: String) {
        let error = #expect(throws: ValidationError.self) { try driver(attributes) }
        #expect(error?.description.hasPrefix(message) == true)
    }
}
