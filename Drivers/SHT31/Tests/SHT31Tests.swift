import HardwareSupport
import SensorKit
import Testing

@testable import Drivers

@Suite struct SHT31FormulaTests {
    /// Data sheet, "Checksum Calculation".
    @Test func workedExampleOfTheChecksum() {
        #expect(SHT31Word.crc.checksum([0xBE, 0xEF]) == 0x92)
    }

    @Test func endsOfTheScale() {
        #expect(SHT31Word.celsius(0) == -45)
        #expect(SHT31Word.celsius(.max) == 130)
        #expect(SHT31Word.percent(0) == 0)
        #expect(SHT31Word.percent(.max) == 100)
    }
}

private func words(_ words: UInt16...) -> [UInt8] {
    words.flatMap { word -> [UInt8] in
        let bytes = ByteOrder.bigEndian.bytes(of: word)
        return bytes + [SHT31Word.crc.checksum(bytes)]
    }
}

@Suite struct SHT31Tests {
    private let hardware = ScriptedHardware()
    private let chip = CannedChip()

    private func driver(
        _ attributes: JSONObject = [:], fields: [Field] = SHT31Driver.fields
    ) throws -> SHT31Driver {
        hardware.chips[0x44] = chip
        var all: JSONObject = ["i2c": 1]
        for member in attributes { all[member.key] = member.value }
        return try SHT31Driver(hardware.context(fields: fields, functions: SHT31Driver.functions, attributes: all))
    }

    @Test func measures() throws {
        // 0x6666 are two fifths: 25 °C; 0x8000 is a bit more than half.
        chip.answers = [words(0x8010), words(0x6666, 0x8000), words(0x83F0)]
        var driver = try driver()
        let values = try #require(try driver.read().first?.values)
        #expect(values["temperature_celsius"] == .double(25))
        #expect(values["humidity_percent"] == .double(100 * 32_768 / 65_535))
        #expect(values["heater"] == .bool(false))
        #expect(chip.written == [[0x30, 0x93], [0x30, 0x66], [0xF3, 0x2D], [0x24, 0x00], [0xF3, 0x2D]])
        chip.answers = [words(0x6666, 0x8000), words(0x8010)]
        _ = try driver.read()
        #expect(chip.written.count == 7)
    }

    @Test func onlyWhatTheTypeHas() throws {
        chip.answers = [words(0), words(0x6666, 0x8000), words(0)]
        var driver = try driver(fields: [Field(name: "humidity_percent", type: .float)])
        #expect(try driver.read().first?.values.keys.sorted() == ["humidity_percent"])
    }

    @Test(
        arguments: [
            ([[0, 0, 0]], "0x00 0x00 0x00 has a wrong checksum"),
            ([words(0x4000)], "is no SHT31: its status is 0x40 0x00, with bits that an SHT31 never sets"),
            ([words(0), words(0x6666) + [0x80, 0x00, 0x00]], "has a wrong checksum"),
            ([words(0), words(0, 0)], "a temperature of -45.0 °C is outside of what the chip can measure"),
            ([words(0), words(0x6666, 0), words(0x2000)], "the heater is on and was switched off"),
        ] as [([[UInt8]], String)])
    func whatIsNoMeasurement(answers: [[UInt8]], message: String) throws {
        chip.answers = answers
        var driver = try driver()
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains(message) == true)
    }

    @Test func theHeaterIsOffAtTheEnd() throws {
        var driver = try driver()
        try driver.control(ControlCall(id: "1", function: "set_heater", parameters: ["on": true]))
        chip.answers = [words(0x2000), words(0x6666, 0x8000), words(0x2000)]
        #expect(try driver.read().first?.values["heater"] == .bool(true))
        #expect(chip.written.prefix(3) == [[0x30, 0x6D], [0x30, 0x93], [0x30, 0x6D]])
        driver.stop()
        #expect(chip.written.last == [0x30, 0x66])
    }

    @Test func aHeaterThatCannotBeSwitched() throws {
        var driver = try driver()
        chip.error = I2CError(.noAnswer, "not acknowledged")
        let error = #expect(throws: ControlError.self) {
            try driver.control(ControlCall(id: "1", function: "set_heater", parameters: ["on": true]))
        }
        #expect(error?.code == .failed)
        // It is not on later all of a sudden.
        chip.error = nil
        chip.answers = [words(0), words(0x6666, 0x8000), words(0)]
        #expect(try driver.read().first?.values["heater"] == .bool(false))
    }

    @Test func controls() throws {
        chip.answers = [words(0), words(0x6666, 0x8000), words(0)]
        var driver = try driver(["repeatability": "medium"])
        try driver.control(ControlCall(id: "1", function: "set_repeatability", parameters: ["repeatability": "low"]))
        _ = try driver.read()
        #expect(chip.written.contains([0x24, 0x16]))
        #expect(
            throws: ControlError.refused("repeatability: 'lov' is none of high, medium, low (did you mean 'low'?)")
        ) {
            let call = ControlCall(id: "2", function: "set_repeatability", parameters: ["repeatability": "lov"])
            try driver.control(call)
        }
    }

    @Test(
        arguments: [
            (["repeatability": "best"], "repeatability: 'best' is none of high, medium, low"),
            (["i2c_address": "0x46"], "i2c_address: 0x46 is no address that this chip can have: 0x44, 0x45"),
        ] as [(JSONObject, String)])
    func wrongAttributes(attributes: JSONObject, message: String) {
        let error = #expect(throws: ValidationError.self) { try driver(attributes) }
        #expect(error?.description == message)
    }
}
