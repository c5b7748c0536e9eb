import HardwareSupport
import SensorKit
import TestSupport
import Testing

@testable import Drivers

@Suite struct DS18B20FormulaTests {
    private func bytes(_ raw: UInt16, configuration: UInt8 = 0x7F) -> [UInt8] {
        let body = [UInt8(raw & 0xFF), UInt8(raw >> 8), 0x4B, 0x46, configuration, 0xFF, 0x0C, 0x10]
        return body + [oneWireCRC(body)]
    }

    /// Data sheet, table 1, "Temperature/Data Relationship".
    @Test(
        arguments: [
            (0x07D0, 125), (0x0550, 85), (0x0191, 25.0625), (0x00A2, 10.125), (0x0008, 0.5), (0, 0),
            (0xFFF8, -0.5), (0xFF5E, -10.125), (0xFE6F, -25.0625), (0xFC90, -55),
        ] as [(UInt16, Double)])
    func examplesOfTheDataSheet(raw: UInt16, celsius: Double) throws {
        #expect(try DS18B20Scratchpad(bytes(raw)).celsius == celsius)
    }

    /// Maxim's application note 27: the number 02 1C B8 01 00 00 00 has the checksum A2.
    @Test func checksumOfTheApplicationNote() {
        #expect(oneWireCRC([0x02, 0x1C, 0xB8, 0x01, 0, 0, 0]) == 0xA2)
    }

    /// The lower bits are undefined then.
    @Test(
        arguments: [
            (0x1F, 9, 25.0), (0x3F, 10, 25.25), (0x5F, 11, 25.375), (0x7F, 12, 25.4375),
        ] as [(UInt8, Int, Double)])
    func resolution(configuration: UInt8, bits: Int, celsius: Double) throws {
        let scratchpad = try DS18B20Scratchpad(bytes(0x0197, configuration: configuration))
        #expect(scratchpad.resolution == bits)
        #expect(scratchpad.celsius == celsius)
    }

    /// As the kernel writes it.
    @Test func textOfTheKernel() throws {
        #expect(try DS18B20Scratchpad("4b 01 4b 46 7f ff 05 10 e1 : crc=e1 YES").celsius == 20.6875)
    }

    @Test(
        arguments: [
            ("4b 01 4b 46 7f ff 05 10 e2 : crc=e1 NO", "the checksum of what it says is wrong"),
            ("00 00 00 00 00 00 00 00 00 : crc=00 YES", "it says what a DS18B20 cannot say"),
            ("ff ff ff ff ff ff ff ff ff : crc=c9 NO", "the checksum of what it says is wrong"),
            ("4b 01 4b", "the kernel says '4b 01 4b' instead of nine bytes"),
            ("4b 01 4b 46 7f ff 05 10 x1 : crc", "the kernel says"), ("", "the kernel says"),
        ])
    func whatIsNoScratchpad(text: String, reason: String) {
        let fault = #expect(throws: SensorFault.self) { try DS18B20Scratchpad(text) }
        #expect(fault?.reason.hasPrefix(reason) == true)
    }
}

@Suite struct DS18B20Tests {
    private let hardware = ScriptedHardware()
    private let sys = TemporaryFolder()
    private let number = "28-0316a2795cff"

    private func driver(_ attributes: JSONObject = [:]) throws -> DS18B20Driver {
        hardware.kernelDevices = KernelDevices(root: sys.path)
        return try DS18B20Driver(
            hardware.context(fields: DS18B20Driver.fields, functions: DS18B20Driver.functions, attributes: attributes))
    }

    private func says(_ raw: UInt16, configuration: UInt8 = 0x7F, of number: String? = nil) throws {
        let body = [UInt8(raw & 0xFF), UInt8(raw >> 8), 0x4B, 0x46, configuration, 0xFF, 0x0C, 0x10]
        let words = (body + [oneWireCRC(body)]).map { String(($0 < 16 ? "0" : "") + String($0, radix: 16)) }
        let line = words.joined(separator: " ")
        try sys.write(
            "sys/bus/w1/devices/\(number ?? self.number)/w1_slave", "\(line) : crc=00 YES\n\(line) t=0\n")
    }

    private func reason(_ driver: inout DS18B20Driver) -> String {
        do throws(SensorFault) {
            return "\(try driver.read())"
        } catch {
            return error.reason
        }
    }

    @Test func findsTheOnlyOne() throws {
        var driver = try driver()
        #expect(reason(&driver).hasPrefix("there is no DS18B20 at a 1-wire bus"))
        try sys.write("sys/bus/w1/devices/w1_bus_master1/w1_master_slaves", "\(number)\n")
        try says(0x0191)
        #expect(try driver.read().map(\.values) == [["temperature_celsius": 25.0625]])
        try says(0x0191, of: "28-0316a2795d00")
        #expect(reason(&driver) == "there are 2 of them; the attribute 'device' says which: \(number), 28-0316a2795d00")
    }

    @Test func proposesItself() throws {
        try sys.write("sys/bus/w1/devices/w1_bus_master1/w1_master_slaves", "\(number)\n")
        try sys.makeFolder("sys/bus/w1/devices/10-0316a2795cff")
        try says(0x0191)
        try says(0x0191, of: "28-0316a2795d00")
        let found = DS18B20Driver.sensors(of: KernelDevices(root: sys.path))
        #expect(found.map(\.attributes) == [["device": .string(number)], ["device": "28-0316a2795d00"]])
        #expect(found.allSatisfy { $0.ownType == nil })
        var first = try driver(found[0].attributes)
        #expect(try first.read().count == 1)
    }

    @Test func eightyFiveIsBelievedOnlyNearby() throws {
        var driver = try driver(["device": .string(number)])
        try says(0x0550)
        #expect(reason(&driver).hasPrefix("\(number) says 85.0 °C, as it does when its power was gone"))
        try says(0x0550 - 16)
        _ = try driver.read()
        try says(0x0550)
        #expect(try driver.read()[0].values == ["temperature_celsius": 85.0])
    }

    @Test func setsTheResolution() throws {
        try says(0x0191)
        try sys.write("sys/bus/w1/devices/\(number)/resolution", "12\n")
        var driver = try driver(["resolution": 10])
        _ = try driver.read()
        let text = try File.text(of: "\(sys.path)/sys/bus/w1/devices/\(number)/resolution")
        #expect(text.hasPrefix("10"))
    }

    @Test func whatItCannotMeasure() throws {
        var driver = try driver()
        try says(0x7FF0)
        #expect(reason(&driver) == "\(number) says 2047.0 °C, which it cannot measure: -55 to 125")
    }

    @Test(
        arguments: [
            (["device": "28-1"], #"device: '28-1' is no number of a chip: expected one as "28-0316a2795cff""#),
            (
                ["device": "10-000802b4a1c2"],
                "device: a chip of family 10 is no DS18B20: its number begins with 28"
            ),
            (
                ["device": "28-../../../../x"],
                #"device: '28-../../../../x' is no number of a chip: expected one as "28-0316a2795cff""#
            ),
            (["resolution": 8], "resolution: must be from 9 to 12, is 8"),
        ] as [(JSONObject, String)])
    func wrongAttributes(attributes: JSONObject, message: String) {
        let error = #expect(throws: ValidationError.self) { try driver(attributes) }
        #expect(error?.description == message)
    }
}
