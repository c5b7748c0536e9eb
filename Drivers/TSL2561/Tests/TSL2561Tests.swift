import HardwareSupport
import SensorKit
import Testing

@testable import Drivers

@Suite struct TSL2561FormulaTests {
    private func lux(_ package: TSL2561Package, _ broadband: UInt16, _ infrared: UInt16) -> Double {
        package.lux(TSL2561Counts(broadband: broadband, infrared: infrared, time: .longest, isGainHigh: true))
    }

    /// The pieces of each formula meet, but for the rounding of their coefficients.
    @Test(
        arguments: [(.cs, 0.52), (.cs, 0.65), (.cs, 0.80), (.t, 0.50), (.t, 0.61), (.t, 0.80)]
            as [(TSL2561Package, Double)])
    func piecesMeet(package: TSL2561Package, ratio: Double) {
        let below = lux(package, 60_000, UInt16(60_000 * (ratio - 0.0005)))
        let above = lux(package, 60_000, UInt16(60_000 * (ratio + 0.0005)))
        #expect(below > 0 && abs(below - above) < 4)
    }

    @Test func values() {
        #expect(abs(lux(.t, 10_000, 6_500) - (0.0128 * 10_000 - 0.0153 * 6_500)) < 1e-9)
        #expect(abs(lux(.cs, 10_000, 10_000) - 7.8) < 1e-9)
        #expect(lux(.t, 10_000, 14_000) == 0)
        #expect(lux(.t, 0, 0) == 0)
    }

    /// CHSCALE of the data sheet's code: 322/11 and 322/81, and 16 with low gain.
    @Test func scale() {
        func scale(_ time: TSL2561Time, _ isGainHigh: Bool) -> Double {
            TSL2561Counts(broadband: 1, infrared: 1, time: time, isGainHigh: isGainHigh).scale
        }
        #expect(scale(.longest, true) == 1 && scale(.longest, false) == 16)
        #expect(scale(.short, true) == 322.0 / 81 && scale(.shortest, false) == 322.0 / 11 * 16)
    }
}

@Suite struct TSL2561Tests {
    private let hardware = ScriptedHardware()
    private let chip = CannedChip()

    private func driver(_ attributes: JSONObject = [:]) throws -> TSL2561Driver {
        hardware.chips[0x39] = chip
        var all: JSONObject = ["i2c": 1, "integration_time_ms": 13.7]
        for member in attributes { all[member.key] = member.value }
        return try TSL2561Driver(
            hardware.context(fields: TSL2561Driver.fields, functions: TSL2561Driver.functions, attributes: all))
    }

    @Test func asksWhoIsThereThenMeasures() throws {
        chip.answers = [[0x50], [0x03], [0x00, 0x04], [0x00, 0x01]]
        var driver = try driver(["gain": "high"])
        let values = try #require(try driver.read().first).values
        #expect(values["broadband_count"] == 1_024 && values["infrared_count"] == 256)
        #expect(
            chip.written == [[0x8A], [0x80, 0], [0x81, 0x10], [0x80, 3], [0x80], [0xAC], [0xAE], [0x80, 0]])
    }

    @Test func tooMuchLightIsMeasuredWithLowGain() throws {
        let saturated: [[UInt8]] = [[0x03], [0xB7, 0x13], [0, 1]]
        chip.answers = [[0x10]] + saturated + [[0x03], [0x00, 0x10], [0, 1]]
        var driver = try driver()
        #expect(try driver.read().first?.values["broadband_count"] == 4_096)
        #expect(chip.written.filter { $0.first == 0x81 } == [[0x81, 0x10], [0x81, 0x00]])
        chip.answers = saturated
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains("there is more light than can be measured") == true)
    }

    @Test func anotherChip() throws {
        chip.answers = [[0x44]]
        var driver = try driver()
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains("is no TSL2561: its id is 0x44") == true)
    }

    @Test func powerLostWhileMeasuring() throws {
        chip.answers = [[0x50], [0x00]]
        var driver = try driver()
        #expect(throws: SensorFault.self) { try driver.read() }
    }

    @Test(
        arguments: [
            (["gain": "auot"], "gain: 'auot' is none of low, high, auto (did you mean 'auto'?)"),
            (["integration_time_ms": 100], "integration_time_ms: 100.0 is none of 13.7, 101.0, 402.0"),
            (["i2c_address": "0x38"], "i2c_address: 0x38 is no address that this chip can have: 0x39, 0x29, 0x49"),
        ] as [(JSONObject, String)])
    func wrongAttributes(attributes: JSONObject, message: String) {
        let error = #expect(throws: ValidationError.self) { try driver(attributes) }
        #expect(error?.description == message)
    }
}
