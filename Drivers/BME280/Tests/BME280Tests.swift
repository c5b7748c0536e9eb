import HardwareSupport
import SensorKit
import Testing

@testable import Drivers

/// BMP280, "Calculating pressure and temperature": registers 0x88…0x9F, then a reserved byte and H1.
private let firstBytes: [UInt8] =
    ([27504, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000] as [Int]).flatMap {
        ByteOrder.littleEndian.bytes(of: UInt16(truncatingIfNeeded: $0))
    } + [0, 75]
/// H2 = 362, H3 = 0, H4 = 313, H5 = 50, H6 = 30: registers 0xE1…0xE7.
private let humidityBytes: [UInt8] = [0x6A, 0x01, 0x00, 0x13, 0x29, 0x03, 0x1E]

@Suite struct BME280FormulaTests {
    @Test func workedExampleOfTheDataSheet() throws {
        let calibration = try #require(BME280Calibration(firstBytes, humidity: nil))
        let fine = calibration.fineTemperature(519_888)
        #expect(Int(fine) == 128_422)
        #expect((BME280Calibration.celsius(fine) * 100).rounded() == 2_508)
        #expect(abs(calibration.pascals(415_148, fine) - 100_653.27) < 0.02)
    }

    /// The data sheet has no example of it. At t_fine = 76800 (15 °C) what depends on temperature is gone, which leaves
    /// a calculation by hand: (28160 − 313 · 64) · 362 / 65536 = 44.89…, and of that 1 − 75 · 44.89 / 524288.
    @Test func humidityAt15Degrees() throws {
        let calibration = try #require(BME280Calibration(firstBytes, humidity: humidityBytes))
        let humidity = try #require(calibration.humidity)
        let linear = Double(28_160 - 20_032) * 362 / 65_536
        #expect(abs(humidity.percent(28_160, 76_800) - linear * (1 - 75 * linear / 524_288)) < 1e-9)
        #expect(humidity.percent(0, 76_800) == 0)
        #expect(humidity.percent(.max, 76_800) == 100)
    }

    /// H4 and H5 have a sign, and share a register.
    @Test func negativeH4AndH5() {
        let bytes: [UInt8] = [0x6A, 0x01, 0, 0xFF, 0x1F, 0xFF, 0]
        // H4 = −1, H5 = −15: at 16384 above 76800, H5 counts as it is.
        let humidity = BME280HumidityCalibration(first: 0, bytes)
        #expect(abs(humidity.percent(0, 76_800) - 64 * 362 / 65_536) < 1e-9)
        #expect(abs(humidity.percent(0, 76_800 + 16_384) - 79 * 362 / 65_536) < 1e-9)
    }

    @Test func emptyCalibrations() {
        #expect(BME280Calibration([UInt8](repeating: 0, count: 26), humidity: nil) == nil)
        #expect(BME280Calibration([UInt8](repeating: 0xFF, count: 26), humidity: nil) == nil)
    }

    /// Data sheet, "Measurement time": with one sample 9.3 ms, with sixteen 112.8 ms.
    @Test func durations() throws {
        #expect(BME280Oversampling.once.maximumDuration == .microseconds(9_300))
        #expect(try BME280Oversampling(DocumentReader(16)).maximumDuration == .microseconds(112_800))
    }
}

@Suite struct BME280Tests {
    private let hardware = ScriptedHardware()
    private let chip = FakeBME280()

    private func driver(
        _ attributes: JSONObject = [:], fields: [Field] = BME280Driver.fields
    ) throws -> BME280Driver {
        hardware.chips[0x76] = chip
        var all: JSONObject = ["i2c": 1]
        for member in attributes { all[member.key] = member.value }
        return try BME280Driver(
            hardware.context(fields: fields, functions: BME280Driver.functions, attributes: all))
    }

    @Test func measures() throws {
        var driver = try driver(["oversampling": 2, "filter": 16])
        let values = try #require(try driver.read().first?.values)
        #expect(values.keys.sorted() == ["humidity_percent", "pressure_pascals", "temperature_celsius"])
        #expect(chip.written == [[0xF2, 2], [0xF5, 4 << 2], [0xF4, 0b010_010_01]])
    }

    @Test func theBMP280HasNoHumidity() throws {
        chip.registers.set(0xD0, [0x58])
        var driver = try driver()
        #expect(try driver.read().first?.values.keys.sorted() == ["pressure_pascals", "temperature_celsius"])
        #expect(chip.written == [[0xF5, 0], [0xF4, 0b001_001_01]])
    }

    @Test func theBMP280IsNoHygrometer() throws {
        chip.registers.set(0xD0, [0x58])
        var driver = try driver(fields: [Field(name: "humidity_percent", type: .float)])
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.hasSuffix("measures no humidity, and the type has nothing else") == true)
    }

    @Test func onlyWhatTheTypeHas() throws {
        var driver = try driver(fields: [Field(name: "pressure_pascals", type: .float)])
        #expect(try driver.read().first?.values.keys.sorted() == ["pressure_pascals"])
    }

    @Test(
        arguments: [
            (0xD0, [0x61], "is no BME280 or BMP280: its id is 0x61 instead of 0x60 or 0x58"),
            (0xD0, [0x55], "for which there is the driver 'bmp085'"),
            (0x88, [0x00, 0x00], "the calibration that the chip has stored cannot be"),
            (0xF3, [0x01], "it copies its calibration"),
            (0xF7, [0x80, 0x00, 0x00], "the chip has measured nothing"),
            (0xFD, [0x80, 0x00], "the chip has measured no humidity"),
            (0xFA, [0xF0, 0x00, 0x00], "is outside of what the chip can measure, -40.0 to 85.0 °C"),
            (0xF7, [0x00, 0x00, 0x00], "is outside of what the chip can measure, 30000.0 to 110000.0 Pa"),
        ] as [(UInt8, [UInt8], String)])
    func whatIsNoMeasurement(register: UInt8, bytes: [UInt8], message: String) throws {
        chip.registers.set(register, bytes)
        var driver = try driver()
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains(message) == true)
    }

    @Test func asksAnewAfterAFault() throws {
        var driver = try driver()
        _ = try driver.read()
        chip.staysInForcedMode = true
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.contains("the register 0xF4 is 0x25 after a measurement instead of 0x24") == true)
        chip.staysInForcedMode = false
        chip.registers.set(0xD0, [0x33])
        #expect(throws: SensorFault.self) { try driver.read() }
    }

    @Test func controls() throws {
        var driver = try driver()
        try driver.control(ControlCall(id: "1", function: "set_oversampling", parameters: ["oversampling": 8]))
        try driver.control(ControlCall(id: "2", function: "set_filter", parameters: ["filter": 2]))
        _ = try driver.read()
        #expect(chip.written == [[0xF2, 4], [0xF5, 1 << 2], [0xF4, 0b100_100_01]])
        #expect(throws: ControlError.refused("oversampling: 5 is none of 1, 2, 4, 8, 16")) {
            try driver.control(ControlCall(id: "3", function: "set_oversampling", parameters: ["oversampling": 5]))
        }
    }

    @Test(
        arguments: [
            (["oversampling": 0], "oversampling: 0 is none of 1, 2, 4, 8, 16"),
            (["filter": 3], "filter: 3 is none of 0, 2, 4, 8, 16"),
            (["i2c_address": "0x75"], "i2c_address: 0x75 is no address that this chip can have: 0x76, 0x77"),
        ] as [(JSONObject, String)])
    func wrongAttributes(attributes: JSONObject, message: String) {
        let error = #expect(throws: ValidationError.self) { try driver(attributes) }
        #expect(error?.description == message)
    }
}

/// Registers whose mode goes back to sleep by itself.
private final class FakeBME280: ScriptedChip {
    let registers = RegisterChip([
        0x88: firstBytes, 0xD0: [0x60], 0xE1: humidityBytes,
        0xF7: [0x65, 0x5A, 0xC0, 0x7E, 0xED, 0x00, 0x6E, 0x00],
    ])
    var staysInForcedMode = false
    private(set) var written: [[UInt8]] = []

    func write(_ bytes: [UInt8]) throws(I2CError) {
        if bytes.count > 1 { written.append(bytes) }
        let isControl = bytes.count == 2 && bytes[0] == 0xF4 && !staysInForcedMode
        try registers.write(isControl ? [0xF4, bytes[1] & ~0b11] : bytes)
    }

    func read(_ count: Int) throws(I2CError) -> [UInt8] { try registers.read(count) }
}
