import HardwareSupport
import SensorKit
import Testing

@testable import Drivers

@Suite struct HCSR04FormulaTests {
    /// Data sheet: "µs / 58 = centimeters", and with 340 m/s half the time times the speed.
    @Test(arguments: [580, 5_800, 11_600])
    func asTheDataSheetHasIt(microseconds: Int) {
        guard case .distance(let metres) = Sounding(echo: .microseconds(microseconds), celsius: 20) else {
            Issue.record("out of range")
            return
        }
        #expect(abs(metres - Double(microseconds) / 58 / 100) < 0.01 * metres)
    }

    @Test(arguments: [(0.0, 331.3), (20, 343.2), (-20, 318.9)])
    func speedOfSound(celsius: Double, metresPerSecond: Double) {
        #expect(abs(Sounding.speedOfSound(celsius: celsius) - metresPerSecond) < 0.1)
    }

    @Test func range() {
        #expect(Sounding(echo: .milliseconds(38), celsius: 20) == .outOfRange)
        #expect(Sounding(echo: .microseconds(50), celsius: 20) == .outOfRange)
        #expect(Sounding(echo: .zero, celsius: 20) == .outOfRange)
    }

    @Test func median() {
        #expect(Sounding.median([.outOfRange, .distance(1), .distance(2)]) == .distance(2))
        #expect(Sounding.median([.distance(3), .distance(1), .distance(1.1)]) == .distance(1.1))
        #expect(Sounding.median([.outOfRange, .distance(1), .outOfRange]) == .outOfRange)
    }
}

@Suite struct HCSR04Tests {
    private let hardware = ScriptedHardware()
    private let trigger = ScriptedLine()
    private let echo = ScriptedLine()

    private func driver(_ attributes: JSONObject = [:], fields: [Field] = HCSR04Driver.fields) throws -> HCSR04Driver {
        hardware.lines = ["TRIG": trigger, "ECHO": echo]
        var all: JSONObject = ["trigger": "TRIG", "echo": "ECHO", "samples": 1]
        for member in attributes { all[member.key] = member.value }
        return try HCSR04Driver(
            hardware.context(fields: fields, functions: HCSR04Driver.functions, attributes: all))
    }

    /// Has the sensor answer each trigger with a pulse.
    private func answers(_ pulse: Duration) {
        let echo = echo
        trigger.onOutput = { level in
            guard !level, echo.isHeld else { return }
            let start = Instant.now
            echo.change(to: true, at: start)
            echo.change(to: false, at: start + pulse)
        }
    }

    @Test func measures() throws {
        var driver = try driver(["temperature_celsius": 0, "samples": 3])
        answers(.milliseconds(10))
        #expect(try driver.read().map(\.values) == [["distance_m": .double(0.01 * 331.3 / 2), "in_range": true]])
        #expect(trigger.outputs == [false, true, false, true, false, true, false])
        try driver.control(ControlCall(id: "1", function: "set_temperature", parameters: ["temperature_celsius": 20]))
        let warmer = try #require(try driver.read()[0].values["distance_m"]?.double)
        #expect(warmer > 1.7)
    }

    @Test func nothingInRange() throws {
        var both = try driver()
        answers(.milliseconds(38))
        #expect(try both.read().map(\.values) == [["in_range": false]])
        var distance = try driver(fields: [Field(name: "distance_m", type: .float)])
        #expect(try distance.read().isEmpty)
    }

    @Test func noAnswer() throws {
        var driver = try driver()
        let fault = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(fault?.reason.hasPrefix("no echo pulse at line 'ECHO'") == true)
        let echo = echo
        trigger.onOutput = { if !$0, echo.isHeld { echo.change(to: true) } }
        let endless = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(endless?.reason == "the echo pulse at line 'ECHO' does not end")
        let high = #expect(throws: SensorFault.self) { try driver.read() }
        #expect(high?.reason.contains("is high before anything was sent") == true)
    }

    @Test(
        arguments: [
            (["echo": "TRIG"], "echo: is the same line as trigger: 'TRIG'"),
            (["samples": 10], "samples: must be from 1 to 9, is 10"),
            (["temperature_celsius": 200], "temperature_celsius: must be from -50.0 to 100.0, is 200.0"),
        ] as [(JSONObject, String)])
    func wrongAttributes(attributes: JSONObject, message: String) {
        let error = #expect(throws: ValidationError.self) { try driver(attributes) }
        #expect(error?.description == message)
    }
}
