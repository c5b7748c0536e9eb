import HardwareSupport
import SensorKit
import Testing

@testable import Drivers

/// A byte for the pins' latch, whose levels others may pull down.
private final class Expander: ScriptedChip {
    var latch: UInt8 = 0xFF
    var grounded: UInt8 = 0
    var shorted: UInt8 = 0
    var error: I2CError?
    func write(_ bytes: [UInt8]) throws(I2CError) {
        if let error { throw error }
        latch = bytes.last ?? latch
    }
    func read(_ count: Int) throws(I2CError) -> [UInt8] {
        [UInt8](repeating: latch & ~grounded | shorted, count: count)
    }
}

@Suite struct PCF8574Tests {
    private let hardware = ScriptedHardware()
    private let chip = Expander()

    private func driver(_ attributes: JSONObject = [:]) throws -> PCF8574Driver {
        hardware.chips[0x20] = chip
        var all: JSONObject = ["i2c": 1]
        for member in attributes { all[member.key] = member.value }
        return try PCF8574Driver(
            hardware.context(fields: PCF8574Driver.fields, functions: PortOutputs.functions, attributes: all))
    }

    private func call(_ function: String, _ parameters: JSONObject) -> ControlCall {
        ControlCall(id: "1", function: function, parameters: parameters)
    }

    @Test func inputsAreSetHighAndRead() throws {
        chip.latch = 0
        chip.grounded = 0b0000_0101
        var driver = try driver()
        let values = try #require(try driver.read().first).values
        #expect(chip.latch == 0xFF)
        #expect(values["p0"] == false && values["p1"] == true && values["p2"] == false && values["p7"] == true)
        driver.stop()
        #expect(chip.latch == 0xFF)
    }

    @Test func outputsAreSafeAtFirstAndInTheEnd() throws {
        var driver = try driver(["outputs": ["p0": "low", "p7": "high"]])
        _ = try driver.read()
        #expect(chip.latch == 0xFE)
        try driver.control(call("set_output", ["output": "p0", "high": true]))
        try driver.control(call("set_output", ["output": "p7", "high": false]))
        #expect(chip.latch == 0x7F)
        try driver.control(call("set_outputs", ["levels": 0]))
        #expect(chip.latch == 0x7E)
        driver.stop()
        #expect(chip.latch == 0xFE)
    }

    @Test func whatFailsIsNotDoneLater() throws {
        var driver = try driver(["outputs": ["p0": "low"]])
        chip.error = I2CError(.timeout, "too long")
        let error = #expect(throws: ControlError.self) {
            try driver.control(call("set_output", ["output": "p0", "high": true]))
        }
        #expect(error?.code == .failed)
        chip.error = nil
        #expect(try driver.read().first?.values["p0"] == false)
    }

    @Test func safeWithoutTheHub() throws {
        var driver = try driver(["outputs": ["p0": "low"], "safe_after_seconds": 1])
        driver.hubIsReachable(true)
        #expect(driver.wakeUp == nil)
        try driver.control(call("set_output", ["output": "p0", "high": true]))
        driver.hubIsReachable(false)
        #expect(try driver.react().first?.values["p0"] == true)
        #expect(driver.wakeUp != nil)
        pause(.milliseconds(1_050))
        #expect(try driver.react().first?.values["p0"] == false)
        #expect(driver.wakeUp == nil)
    }

    @Test func aPinThatIsDrivenLowCannotBeHigh() throws {
        chip.shorted = 0b10
        var driver = try driver(["outputs": ["p1": "low"]])
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains("p1 is set low and reads high: a short circuit") == true)
    }

    @Test(
        arguments: [
            ("set_output", ["output": "p3", "high": true], "output: 'p3' is no output; p0 are"),
            ("set_outputs", ["levels": 3], "levels: has bits of pins that are no outputs: p1"),
            ("set_outputs", ["levels": 256], "levels: must be from 0 to 255, is 256"),
        ] as [(String, JSONObject, String)])
    func refused(function: String, parameters: JSONObject, message: String) throws {
        var driver = try driver(["outputs": ["p0": "low"]])
        let error = #expect(throws: ControlError.self) { try driver.control(call(function, parameters)) }
        #expect(error == .refused(message))
    }

    @Test(
        arguments: [
            (["i2c_address": "0x48"], "i2c_address: 0x48 is no address that this chip can have"),
            (["outputs": ["p8": "low"]], "outputs.p8: there is no such pin, but p0, p1"),
            (["outputs": ["p1": true]], "outputs.p1: expected text"),
            (["safe_after_seconds": 0], "safe_after_seconds: must be from 1 to 86400, is 0"),
        ] as [(JSONObject, String)])
    func wrongAttributes(attributes: JSONObject, message: String) {
        let error = #expect(throws: ValidationError.self) { try driver(attributes) }
        #expect(error?.description.hasPrefix(message) == true)
    }
}
