import HardwareSupport
import SensorKit
import Testing

@testable import Drivers

@Suite struct ADS1115FormulaTests {
    /// Data sheets, "Full-Scale Range and Corresponding LSB Size", in microvolts: ADS1115, ADS1015.
    @Test(
        arguments: [
            (6.144, 187.5, 3_000), (4.096, 125, 2_000), (2.048, 62.5, 1_000), (1.024, 31.25, 500), (0.512, 15.625, 250),
            (0.256, 7.8125, 125),
        ] as [(Double, Double, Double)])
    func steps(volts: Double, of16Bits: Double, of12Bits: Double) throws {
        let range = try ADS1115Range(DocumentReader(.double(volts)))
        #expect(abs(range.volts(1) * 1e6 - of16Bits) < 1e-9)
        #expect(abs(range.volts(-1) * 1e6 + of16Bits) < 1e-9)
        #expect(abs(range.volts(0x0010) * 1e6 - of12Bits) < 1e-9)
        #expect(range.volts(.min) == -volts)
    }

    @Test func rates() throws {
        #expect(ADS1115Rate.initial(.ads1115).bits == 0b100 << 5)
        #expect(try ADS1115Rate(DocumentReader(8), .ads1115).maximumDuration > .milliseconds(137))
        #expect(try ADS1115Rate(DocumentReader(3_300), .ads1015).bits == 0b110 << 5)
    }

    @Test func names() {
        #expect(ADS1115Input.ain2.description == "AIN2")
        #expect(ADS1115Input.ain1To3.description == "AIN1 against AIN3")
    }
}

@Suite struct ADS1115Tests {
    private let hardware = ScriptedHardware()
    private let chip = CannedChip()

    private func driver(_ attributes: JSONObject = [:], fields: [String] = ["ain0_volts"]) throws -> ADS1115Driver {
        hardware.chips[0x48] = chip
        var all: JSONObject = ["i2c": 1]
        for member in attributes { all[member.key] = member.value }
        return try ADS1115Driver(
            hardware.context(
                fields: fields.map { Field(name: $0, type: .float) }, functions: ADS1115Driver.functions,
                attributes: all))
    }

    @Test func measuresWhatTheTypeHas() throws {
        chip.answers = [[0xF3, 0x83], [0x40, 0x00], [0xB3, 0x83], [0xC0, 0x00]]
        var driver = try driver(fields: ["ain3_volts", "ain2_ain3_volts"])
        let expected: JSONObject = ["ain3_volts": .double(2.048), "ain2_ain3_volts": .double(-2.048)]
        #expect(try driver.read().map(\.values) == [expected])
        #expect(chip.written == [[1, 0xF3, 0x83], [1], [0], [1, 0xB3, 0x83], [1], [0]])
    }

    @Test(
        arguments: [
            ([:], [[0x60, 0xA0]], "no ads1115: its configuration is 0x60 0xA0 after it was set to 0xC3 0x83"),
            ([:], [[0x43, 0x83]], "a conversion did not end in time"),
            (
                [:], [[0xC3, 0x83], [0x7F, 0xFF]],
                "AIN0 is at the end of the range of 4.096 V or beyond; a greater range_volts measures more"
            ),
            (
                ["range_volts": 6.144], [[0xC1, 0x83], [0x80, 0x00]],
                "AIN0 is at the end of the range of 6.144 V or beyond"
            ),
            (["chip": "ads1015"], [[0xC3, 0x83], [0x7F, 0xF0]], "AIN0 is at the end of the range"),
        ] as [(JSONObject, [[UInt8]], String)])
    func whatIsNoMeasurement(attributes: JSONObject, answers: [[UInt8]], message: String) throws {
        chip.answers = answers
        var driver = try driver(attributes)
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains(message) == true)
    }

    @Test func controls() throws {
        var driver = try driver(["chip": "ads1015"])
        try driver.control(ControlCall(id: "1", function: "set_range", parameters: ["range_volts": 0.256]))
        try driver.control(ControlCall(id: "2", function: "set_data_rate", parameters: ["data_rate": 3_300]))
        chip.answers = [[0xCB, 0xC3], [0x00, 0x10]]
        #expect(try driver.read().map(\.values) == [["ain0_volts": .double(0.000125)]])
        #expect(chip.written.first == [1, 0xCB, 0xC3])
        #expect(throws: ControlError.self) {
            try driver.control(ControlCall(id: "3", function: "set_range", parameters: ["range_volts": 5]))
        }
        #expect(throws: ControlError.self) {
            try driver.control(ControlCall(id: "4", function: "set_data_rate", parameters: ["data_rate": 860]))
        }
    }

    @Test(
        arguments: [
            (["range_volts": 5], "range_volts: 5.0 is none of 6.144, 4.096, 2.048, 1.024, 0.512, 0.256"),
            (["data_rate": 100], "data_rate: 100 is none of 8, 16, 32, 64, 128, 250, 475, 860"),
            (["chip": "ads1116"], "chip: 'ads1116' is none of ads1115, ads1015 (did you mean 'ads1115'?)"),
        ] as [(JSONObject, String)])
    func wrongAttributes(attributes: JSONObject, message: String) {
        let error = #expect(throws: ValidationError.self) { try driver(attributes) }
        #expect(error?.description == message)
    }
}
