import HardwareSupport
import SensorKit
import Testing

@testable import MyDriver

@Suite struct MyDriverTests {
    private let fields = [Field(name: "active", type: .bool)]

    @Test func readsTheLine() throws {
        let hardware = ScriptedHardware(), line = ScriptedLine()
        hardware.lines = ["DOOR": line]
        var driver = try MyDriver(hardware.context(fields: fields, attributes: ["line": "DOOR"]))
        #expect(try driver.read().map(\.values) == [["active": .bool(false)]])
        line.change(to: true)
        #expect(try driver.read().map(\.values) == [["active": .bool(true)]])
    }

    @Test func aLineThatIsNotThereIsAFault() throws {
        var driver = try MyDriver(ScriptedHardware().context(fields: fields, attributes: ["line": "DOOR"]))
        #expect(throws: SensorFault.self) { try driver.read() }
    }

    @Test func withoutALineItIsRefused() {
        #expect(throws: ValidationError.self) { try MyDriver(ScriptedHardware().context(fields: fields, attributes: [:])) }
    }
}
