import HardwareSupport
import SensorKit
import Testing

@testable import MyDriver

@Suite struct MyDriverTests {
    @Test func understandsTheFile() throws {
        #expect(try MyDriver.seconds(in: "350735.47 234388.90\n") == 350735.47)
        #expect(throws: SensorFault.self) { try MyDriver.seconds(in: "soon") }
    }

    @Test func readsThisMachine() throws {
        let fields = [Field(name: "uptime_seconds", type: .float)]
        var driver = try MyDriver(ScriptedHardware().context(fields: fields, attributes: [:]))
        let measured = try #require(try driver.read().first?.values["uptime_seconds"]?.double)
        #expect(measured > 0)
    }
}
