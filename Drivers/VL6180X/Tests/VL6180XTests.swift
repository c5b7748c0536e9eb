import HardwareSupport
import SensorKit
import Testing

@testable import Drivers

/// Registers with addresses of two bytes; measurements end at once.
private final class Chip: ScriptedChip {
    var registers = [UInt16: UInt8]()
    var measures = true
    private var pointer: UInt16 = 0

    init() {
        registers[0x000] = 0xB4
        registers[0x016] = 1
        registers[0x062] = 77
    }

    func write(_ bytes: [UInt8]) throws(I2CError) {
        pointer = bytes.uint16(at: 0, .bigEndian)
        for byte in bytes.dropFirst(2) {
            registers[pointer] = byte
            if measures, pointer == 0x018 { registers[0x04F] = 0x04 }
            if measures, pointer == 0x038 { registers[0x04F] = 0x20 }
            if pointer == 0x015 { registers[0x04F] = 0 }
            pointer += 1
        }
    }

    func read(_ count: Int) throws(I2CError) -> [UInt8] {
        (0..<UInt16(count)).map { registers[pointer + $0] ?? 0 }
    }
}

@Suite struct VL6180XTests {
    private let hardware = ScriptedHardware()
    private let chip = Chip()

    private func driver(_ attributes: JSONObject = [:]) throws -> VL6180XDriver {
        hardware.chips[0x29] = chip
        var all: JSONObject = ["i2c": 1]
        for member in attributes { all[member.key] = member.value }
        return try VL6180XDriver(
            hardware.context(fields: VL6180XDriver.fields, functions: VL6180XDriver.functions, attributes: all))
    }

    /// Data sheet, "ALS": 0.32 lux for a count, with a gain of 1 and 100 ms.
    @Test func light() throws {
        var light = VL6180XLight()
        #expect(light.lux(1) == 0.32 && light.gainRegister == 0x46 && light.timeRegister == 0x63)
        try light.setGain(DocumentReader(20))
        try light.setTime(DocumentReader(200))
        #expect(light.lux(1_000) == 8 && light.gainRegister == 0x40 && light.timeRegister == 199)
        try light.setGain(DocumentReader(40))
        #expect(light.gainRegister == 0x47)
    }

    @Test func measuresBoth() throws {
        chip.registers[0x050] = 0x03
        chip.registers[0x051] = 0xE8
        var driver = try driver()
        #expect(
            try driver.read().map(\.values) == [
                ["range_status": "good", "distance_mm": 77, "illuminance_lux": 320.0]
            ])
        #expect(chip.registers[0x207] == 1 && chip.registers[0x014] == 0x24 && chip.registers[0x016] == 0)
        #expect(chip.registers[0x040] == 0 && chip.registers[0x041] == 99)
    }

    @Test func setUpAnewAfterPowerWasGone() throws {
        var driver = try driver()
        _ = try driver.read()
        chip.registers[0x016] = 1
        chip.registers[0x014] = 0
        _ = try driver.read()
        #expect(chip.registers[0x014] == 0x24 && chip.registers[0x016] == 0)
    }

    @Test(arguments: [(6, "early_convergence"), (7, "max_convergence"), (11, "signal_to_noise"), (15, "overflow")])
    func noTargetIsNoDistance(code: UInt8, name: String) throws {
        chip.registers[0x04D] = code << 4 | 1
        var driver = try driver()
        let values = try #require(try driver.read().first).values
        #expect(values["distance_mm"] == nil && values["range_status"] == .string(name))
    }

    @Test(arguments: [1, 5, 9])
    func brokenIsAFault(code: UInt8) throws {
        chip.registers[0x04D] = code << 4 | 1
        var driver = try driver()
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.hasSuffix("cannot measure distances: system_error_\(code)") == true)
    }

    @Test func whatDoesNotEndIsAFault() throws {
        chip.measures = false
        var driver = try driver()
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.hasSuffix("ranging did not end in time") == true)
    }

    @Test func tooMuchLightIsNoMeasurement() throws {
        chip.registers[0x04E] = 0x11
        var driver = try driver()
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains("there is more light than 20971 lux") == true)
    }

    @Test func anotherChip() throws {
        chip.registers[0x000] = 0xEE
        var driver = try driver()
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains("is no VL6180X: its model id is 0xEE") == true)
    }

    @Test(
        arguments: [
            (["gain": 3], "gain: 3.0 is none of 1.0, 1.25, 1.67, 2.5, 5.0, 10.0, 20.0, 40.0"),
            (["integration_time_ms": 0], "integration_time_ms: must be from 1 to 500, is 0"),
        ] as [(JSONObject, String)])
    func wrongAttributes(attributes: JSONObject, message: String) {
        let error = #expect(throws: ValidationError.self) { try driver(attributes) }
        #expect(error?.description == message)
    }
}
