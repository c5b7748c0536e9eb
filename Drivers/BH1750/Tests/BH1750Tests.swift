import HardwareSupport
import SensorKit
import Testing

@testable import Drivers

@Suite struct BH1750FormulaTests {
    /// Data sheet, "Measurement Sequence Example": high byte 10000011, low byte 10010000 are 28067 lux.
    @Test func workedExampleOfTheDataSheet() {
        let count = [0b1000_0011, 0b1001_0000].uint16(at: 0, .bigEndian)
        #expect(BH1750Resolution.high.lux(count: count, .typical).rounded() == 28_067)
    }

    @Test func half() throws {
        #expect(BH1750Resolution.high2.lux(count: 1, .typical) == 1 / 1.2 / 2)
        let twice = try BH1750MeasurementTime(DocumentReader(138))
        #expect(BH1750Resolution.high.lux(count: 240, twice) == 100)
    }

    /// Data sheet, "Change Measurement time": 01000_MT[7,6,5] and 011_MT[4,3,2,1,0].
    @Test(
        arguments: [
            (69, [0x42, 0x65]), (31, [0x40, 0x7F]), (254, [0x47, 0x7E]), (138, [0x44, 0x6A]),
        ] as [(Int64, [UInt8])])
    func measurementTimeIsSetInTwoParts(value: Int64, commands: [UInt8]) throws {
        #expect(try BH1750MeasurementTime(DocumentReader(.int(value))).commands == commands)
    }

    @Test func slowestMeasurement() throws {
        let longest = try BH1750MeasurementTime(DocumentReader(254))
        #expect(BH1750Resolution.high.maximumDuration(longest) < .milliseconds(700))
        #expect(BH1750Resolution.low.maximumDuration(.typical) == .milliseconds(24))
    }
}

@Suite struct BH1750Tests {
    private let hardware = ScriptedHardware()
    private let chip = CannedChip()

    private func driver(_ attributes: JSONObject = [:]) throws -> BH1750Driver {
        hardware.chips[0x23] = chip
        var all: JSONObject = ["i2c": 1, "measurement_time": 31, "resolution": "low"]
        for member in attributes { all[member.key] = member.value }
        return try BH1750Driver(
            hardware.context(fields: BH1750Driver.fields, functions: BH1750Driver.functions, attributes: all))
    }

    @Test func asksWhoIsThereThenMeasures() throws {
        chip.answers = [[0, 0], [0x01, 0x0E], [0x01, 0x0E]]
        var driver = try driver()
        #expect(try driver.read().map(\.values) == [["illuminance_lux": .double(270 / 1.2 * 69 / 31)]])
        #expect(chip.written == [[0x01], [0x07], [0x40], [0x7F], [0x23]])
        _ = try driver.read()
        #expect(chip.written.count == 8)
    }

    @Test func anotherChipIsNoLight() throws {
        chip.answers = [[0x07, 0x07]]
        var driver = try driver()
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains("no BH1750: after a reset it says 0x07 0x07") == true)
    }

    @Test func tooMuchLightIsNoMeasurement() throws {
        chip.answers = [[0, 0], [0xFF, 0xFF]]
        var driver = try driver()
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains("more light than 121556 lux") == true)
        // The next read asks again who is there.
        chip.answers = [[0, 0], [0, 12]]
        #expect(try driver.read().count == 1)
    }

    @Test func nobodyThere() throws {
        var driver = try driver()
        hardware.chips = [:]
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.hasPrefix("no answer from address 0x23 of I2C bus 1 'scripted'") == true)
    }

    @Test func controls() throws {
        chip.answers = [[0, 0]]
        var driver = try driver()
        try driver.control(ControlCall(id: "1", function: "set_resolution", parameters: ["resolution": "high2"]))
        try driver.control(ControlCall(id: "2", function: "set_measurement_time", parameters: ["measurement_time": 32]))
        _ = try driver.read()
        #expect(chip.written.suffix(3) == [[0x41], [0x60], [0x21]])
        #expect(throws: ControlError.self) {
            try driver.control(ControlCall(id: "3", function: "set_resolution", parameters: ["resolution": "hihg"]))
        }
        #expect(throws: ControlError.self) {
            let call = ControlCall(id: "4", function: "set_measurement_time", parameters: ["measurement_time": 30])
            try driver.control(call)
        }
    }

    @Test(
        arguments: [
            (["i2c": .null], "'i2c' is missing"),
            (["i2c_address": "0x24"], "i2c_address: 0x24 is no address that this chip can have: 0x23, 0x5C"),
            (["i2c_address": "35"], "i2c_address: '35' is no I2C address: expected one as \"0x23\""),
            (["resolution": "hihg"], "resolution: 'hihg' is none of high, high2, low (did you mean 'high'?)"),
            (["measurement_time": 255], "measurement_time: must be from 31 to 254, is 255"),
        ] as [(JSONObject, String)])
    func wrongAttributes(attributes: JSONObject, message: String) {
        let error = #expect(throws: ValidationError.self) { try driver(attributes) }
        #expect(error?.description == message)
    }
}
