import HardwareSupport
import SensorKit
import TestSupport
import Testing

@testable import Drivers

@Suite struct DigitalOutputStateTests {
    private let start = Instant(nanoseconds: 1_000_000_000_000)

    private func at(_ seconds: Int) -> Instant { start + .seconds(seconds) }

    private func output(_ isOn: Bool, safe: Bool? = nil, after limit: Duration? = nil) -> SwitchedOutput {
        SwitchedOutput(isOn: isOn, safe: safe, absence: HubAbsence(limit: limit, start: start))
    }

    @Test func aTimeEnds() {
        var output = output(false)
        #expect(output.deadline == nil)
        output.turnOn(for: .seconds(5), now: at(1))
        #expect(output.isOn && output.deadline == at(6))
        #expect(output.advance(to: at(5)) == nil)
        #expect(output.advance(to: at(8)) == at(6))
        #expect(!output.isOn && output.cause == .timer && output.deadline == nil)
    }

    @Test func aPulseGoesBackToWhatWas() {
        var output = output(true)
        output.pulse(for: .seconds(2), now: at(0))
        #expect(!output.isOn)
        output.pulse(for: .seconds(2), now: at(1))
        #expect(!output.isOn && output.deadline == at(3))
        #expect(output.advance(to: at(3)) == at(3))
        #expect(output.isOn)
    }

    @Test func whoSetsItEndsATime() {
        var output = output(false)
        output.turnOn(for: .seconds(2), now: at(0))
        output.set(true)
        #expect(output.deadline == nil && output.isOn && output.cause == .call)
    }

    @Test func isMadeSafeWhenTheHubStaysAway() {
        var output = output(true, safe: false, after: .seconds(10))
        output.hubIsReachable(true, now: at(1))
        #expect(output.deadline == nil)
        output.hubIsReachable(false, now: at(2))
        output.hubIsReachable(true, now: at(11))
        output.hubIsReachable(false, now: at(20))
        output.pulse(for: .seconds(60), now: at(21))
        output.set(true)
        #expect(output.advance(to: at(29)) == nil)
        #expect(output.advance(to: at(40)) == at(30))
        #expect(!output.isOn && output.cause == .hubLost)
        // It stays so when the hub is back, until somebody calls.
        output.hubIsReachable(true, now: at(41))
        #expect(output.advance(to: at(1_000)) == nil && !output.isOn)
    }

    @Test func theHubCountsAsLostFromTheStart() {
        var output = output(false, safe: true, after: .seconds(10))
        #expect(output.advance(to: at(10)) == at(10))
        #expect(output.isOn)
    }
}

@Suite struct DigitalOutputTests {
    private let folder = TemporaryFolder()
    private let hardware = ScriptedHardware()
    private let line = ScriptedLine()

    private func driver(_ attributes: JSONObject = [:], state: String? = nil) throws -> DigitalOutputDriver {
        hardware.lines = ["LAMP": line]
        var all: JSONObject = ["line": "LAMP"]
        for member in attributes { all[member.key] = member.value }
        return try DigitalOutputDriver(
            hardware.context(
                fields: DigitalOutputDriver.fields, functions: DigitalOutputDriver.functions, attributes: all,
                stateDirectory: state))
    }

    private func call(_ function: String, _ parameters: JSONObject = [:]) -> ControlCall {
        ControlCall(id: "1", function: function, parameters: parameters)
    }

    private func values(_ on: Bool, switches: Int64, _ cause: String) -> JSONObject {
        ["on": .bool(on), "switches": .int(switches), "cause": .string(cause)]
    }

    @Test func isSwitched() throws {
        var driver = try driver()
        #expect(try driver.read().map(\.values) == [values(false, switches: 0, "start")])
        try driver.control(call("on"))
        #expect(line.level)
        #expect(try driver.read().map(\.values) == [values(true, switches: 1, "call")])
        try driver.control(call("toggle"))
        try driver.control(call("off"))
        #expect(try driver.read().map(\.values) == [values(false, switches: 2, "call")])
        #expect(line.outputs == [false, true, false])
    }

    @Test func aPulseIsTwoReadings() throws {
        var driver = try driver(["active_low": true])
        try driver.control(call("pulse", ["seconds": 0.001]))
        #expect(!line.level)
        _ = try driver.read()
        while let moment = driver.wakeUp, moment > .now { pause(.milliseconds(1)) }
        #expect(try driver.react().map(\.values) == [values(false, switches: 2, "timer")])
        #expect(line.outputs == [true, false, true])
        #expect(driver.wakeUp == nil)
    }

    @Test func hasItsFirstValueFromTheBeginning() throws {
        var driver = try driver(["initial": "on"])
        _ = try driver.read()
        #expect(hardware.requests.map(\.direction) == [.output([true], .pushPull)])
    }

    @Test(arguments: [("off", false), ("on", true), ("keep", true)])
    func isSafeInTheEnd(safe: String, level: Bool) throws {
        var driver = try driver(["initial": "on", "safe": .string(safe)])
        _ = try driver.read()
        driver.stop()
        #expect(line.level == level)
    }

    @Test func isSafeWithoutHub() throws {
        var driver = try driver(["initial": "on", "safe_after_seconds": 1])
        driver.hubIsReachable(true)
        #expect(try driver.read().map(\.values) == [values(true, switches: 0, "start")])
        #expect(driver.wakeUp == nil)
        driver.hubIsReachable(false)
        while let moment = driver.wakeUp, moment > .now { pause(.milliseconds(1)) }
        #expect(try driver.react().map(\.values) == [values(false, switches: 1, "hub_lost")])
        #expect(!line.level)
    }

    @Test func remembersWhatItWas() throws {
        var first = try driver(["initial": "last", "safe": "keep"], state: folder.path)
        #expect(try first.read()[0].values["on"] == false)
        try first.control(call("on"))
        var second = try driver(["initial": "last", "safe": "keep"], state: folder.path)
        #expect(try second.read()[0].values["on"] == true)
    }

    @Test func aLineThatIsLostIsTakenAgainAsItWas() throws {
        var driver = try driver()
        try driver.control(call("on"))
        line.fault = SensorFault("gone")
        let error = #expect(throws: ControlError.self) { try driver.control(call("off")) }
        #expect(error?.code == .failed)
        line.fault = nil
        _ = try driver.read()
        #expect(hardware.requests.map(\.direction) == [.output([false], .pushPull), .output([false], .pushPull)])
    }

    @Test(
        arguments: [
            (["line": .null], "'line' is missing"),
            (["initial": "On"], "initial: 'On' is none of off, on, last"),
            (["drive": "open"], "drive: 'open' is none of push_pull, open_drain, open_source"),
            (["safe_after_seconds": 0], "safe_after_seconds: must be from 1 to 86400, is 0"),
            (
                ["safe": "keep", "safe_after_seconds": 5],
                #"safe_after_seconds: contradicts safe = "keep": say what is safe, "on" or "off""#
            ),
        ] as [(JSONObject, String)])
    func wrongAttributes(attributes: JSONObject, message: String) {
        let error = #expect(throws: ValidationError.self) { try driver(attributes) }
        #expect(error?.description.hasPrefix(message) == true)
    }

    @Test func aTimeThatCannotBe() throws {
        var driver = try driver()
        let error = #expect(throws: ControlError.self) { try driver.control(call("on_for", ["seconds": -1])) }
        #expect(error?.code == .refused)
        #expect(error?.reason == "seconds: must be from 0.001 to 604800.0, is -1.0")
        #expect(line.outputs.isEmpty)
    }
}
