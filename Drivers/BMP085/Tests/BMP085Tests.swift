import HardwareSupport
import SensorKit
import Testing

@testable import Drivers

/// Data sheet, "Calculating pressure and temperature": AC1 to AC6, B1, B2, MB, MC, MD.
private let calibrationBytes: [UInt8] =
    ([408, -72, -14_383, 32_741, 32_757, 23_153, 6_190, 4, -32_768, -8_711, 2_868] as [Int]).flatMap {
        ByteOrder.bigEndian.bytes(of: UInt16(truncatingIfNeeded: $0))
    }

@Suite struct BMP085FormulaTests {
    @Test func workedExampleOfTheDataSheet() throws {
        let calibration = try #require(BMP085Calibration(calibrationBytes))
        let b5 = try #require(calibration.b5(rawTemperature: 27_898))
        #expect(BMP085Calibration.celsius(b5: b5) == 15)
        #expect(calibration.pascals(raw: 23_843, b5: b5, exponent: 0) == 69_964)
    }

    /// What is measured more often has more bits and is the same pressure.
    @Test(arguments: 1...3)
    func oversampling(exponent: Int) throws {
        let calibration = try #require(BMP085Calibration(calibrationBytes))
        let b5 = try #require(calibration.b5(rawTemperature: 27_898))
        let pascals = try #require(calibration.pascals(raw: 23_843 << exponent, b5: b5, exponent: exponent))
        #expect(abs(pascals - 69_964) <= 5)
    }

    /// Whatever the chip says, nothing overflows.
    @Test(arguments: [0, 1, 23_153, 65_535])
    func anyResult(raw: Int) throws {
        let calibration = try #require(BMP085Calibration(calibrationBytes))
        guard let b5 = calibration.b5(rawTemperature: raw) else { return }
        for pressure in [0, 1, 0x7FFFF] { _ = calibration.pascals(raw: pressure, b5: b5, exponent: 3) }
    }

    @Test func noWordIsZeroOrAllOnes() {
        #expect(BMP085Calibration([UInt8](repeating: 0, count: 22)) == nil)
        #expect(BMP085Calibration([UInt8](repeating: 0xFF, count: 22)) == nil)
        var bytes = calibrationBytes
        bytes[6...7] = [0, 0]
        #expect(BMP085Calibration(bytes) == nil)
    }

    @Test func commands() throws {
        #expect(BMP085Oversampling.once.command == 0x34)
        #expect(try BMP085Oversampling(DocumentReader(2)).command == 0x74)
        #expect(try BMP085Oversampling(DocumentReader(8)).command == 0xF4)
        #expect(try BMP085Oversampling(DocumentReader(8)).maximumDuration == .microseconds(25_500))
    }
}

@Suite struct BMP085Tests {
    private let hardware = ScriptedHardware()
    private let chip = FakeBMP180()

    private func driver(
        _ attributes: JSONObject = [:], fields: [Field] = BMP085Driver.fields
    ) throws -> BMP085Driver {
        hardware.chips[0x77] = chip
        var all: JSONObject = ["i2c": 1]
        for member in attributes { all[member.key] = member.value }
        return try BMP085Driver(
            hardware.context(fields: fields, functions: BMP085Driver.functions, attributes: all))
    }

    @Test func measures() throws {
        var driver = try driver()
        let expected: JSONObject = ["temperature_celsius": .double(15), "pressure_pascals": .double(69_964)]
        #expect(try driver.read().map(\.values) == [expected])
        #expect(chip.written == [[0xF4, 0x2E], [0xF4, 0x34]])
    }

    @Test func onlyWhatTheTypeHas() throws {
        var driver = try driver(["oversampling": 8], fields: [Field(name: "pressure_pascals", type: .float)])
        #expect(try driver.read().first?.values.keys.sorted() == ["pressure_pascals"])
        #expect(chip.written == [[0xF4, 0x2E], [0xF4, 0xF4]])
    }

    @Test(
        arguments: [
            (0xD0, [0x61], "is no BMP180 or BMP085: its id is 0x61 instead of 0x55"),
            (0xD0, [0x58], "for which there is the driver 'bme280'"),
            (0xAA, [0x00, 0x00], "the calibration that the chip has stored cannot be"),
        ] as [(UInt8, [UInt8], String)])
    func anotherChip(register: UInt8, bytes: [UInt8], message: String) throws {
        chip.registers.set(register, bytes)
        var driver = try driver()
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains(message) == true)
    }

    @Test func whatIsNoMeasurement() throws {
        var driver = try driver()
        chip.temperature = 65_535
        var fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains("is outside of what the chip can measure, -40.0 to 85.0 °C") == true)
        chip.temperature = 27_898
        chip.pressure = 60_000
        fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains("is outside of what the chip can measure, 30000.0 to 110000.0 Pa") == true)
        chip.pressure = 0
        fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains("fits no temperature and pressure at all") == true)
        chip.pressure = 23_843
        chip.neverEnds = true
        fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains("the measurement did not end in time") == true)
        chip.neverEnds = false
        // The next read asks again who is there.
        #expect(try driver.read().count == 1)
        chip.registers.set(0xD0, [0])
        #expect(try driver.read().count == 1)
    }

    @Test func controls() throws {
        var driver = try driver()
        try driver.control(ControlCall(id: "1", function: "set_oversampling", parameters: ["oversampling": 4]))
        _ = try driver.read()
        #expect(chip.written.last == [0xF4, 0xB4])
        #expect(throws: ControlError.refused("oversampling: 16 is none of 1, 2, 4, 8")) {
            try driver.control(ControlCall(id: "2", function: "set_oversampling", parameters: ["oversampling": 16]))
        }
    }

    @Test(
        arguments: [
            (["oversampling": 0], "oversampling: 0 is none of 1, 2, 4, 8"),
            (["i2c_address": "0x76"], "i2c_address: 0x76 is no address that this chip can have: 0x77"),
        ] as [(JSONObject, String)])
    func wrongAttributes(attributes: JSONObject, message: String) {
        let error = #expect(throws: ValidationError.self) { try driver(attributes) }
        #expect(error?.description == message)
    }
}

/// Registers whose result is what was asked for.
private final class FakeBMP180: ScriptedChip {
    let registers = RegisterChip([0xAA: calibrationBytes, 0xD0: [0x55]])
    var temperature = 27_898
    var pressure = 23_843
    var neverEnds = false
    private(set) var written: [[UInt8]] = []

    func write(_ bytes: [UInt8]) throws(I2CError) {
        guard bytes.count == 2 else { return try registers.write(bytes) }
        written.append(bytes)
        try registers.write([0xF4, neverEnds ? bytes[1] : bytes[1] & ~0x20])
        let value = bytes[1] == 0x2E ? temperature : pressure
        registers.set(0xF6, [UInt8(value >> 8 & 0xFF), UInt8(value & 0xFF), 0])
    }

    func read(_ count: Int) throws(I2CError) -> [UInt8] { try registers.read(count) }
}
