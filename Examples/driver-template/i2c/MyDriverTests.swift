import HardwareSupport
import SensorKit
import Testing

@testable import MyDriver

/// A chip that answers as the test says.
private final class Chip: ScriptedChip {
    var register: [UInt8] = [0x19, 0x80]

    func write(_ bytes: [UInt8]) throws(I2CError) {}
    func read(_ count: Int) throws(I2CError) -> [UInt8] { register }
}

@Suite struct MyDriverTests {
    private let fields = [Field(name: "temperature_celsius", type: .float)]

    @Test func theFormula() {
        #expect(MyDriver.celsius([0x19, 0x80]) == 25.5)
        #expect(MyDriver.celsius([0xFF, 0x00]) == -1)
    }

    @Test func readsTheChip() throws {
        let hardware = ScriptedHardware()
        hardware.chips[0x48] = Chip()
        var driver = try MyDriver(hardware.context(fields: fields, attributes: ["i2c": 1]))
        #expect(try driver.read().map(\.values) == [["temperature_celsius": .double(25.5)]])
    }

    @Test func nobodyAnswersIsAFault() throws {
        var driver = try MyDriver(ScriptedHardware().context(fields: fields, attributes: ["i2c": 1]))
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains("no answer from address 0x48") == true)
    }

    @Test func anAddressThatItCannotHaveIsRefused() {
        #expect(throws: ValidationError.self) {
            try MyDriver(ScriptedHardware().context(fields: fields, attributes: ["i2c": 1, "i2c_address": "0x23"]))
        }
    }
}
