import HardwareSupport
import SensorKit
import Testing

@testable import Drivers

@Suite struct DigitalInputTests {
    private let hardware = ScriptedHardware()
    private let line = ScriptedLine()

    private func driver(_ attributes: JSONObject = [:]) throws -> DigitalInputDriver {
        hardware.lines = ["DOOR": line]
        var all: JSONObject = ["line": "DOOR"]
        for member in attributes { all[member.key] = member.value }
        return try DigitalInputDriver(hardware.context(fields: DigitalInputDriver.fields, attributes: all))
    }

    private func values(_ active: Bool, changes: Int64, bounces: Int64 = 0, lost: Int64 = 0) -> JSONObject {
        [
            "active": .bool(active), "changes": .int(changes), "bounces": .int(bounces), "lost_edges": .int(lost),
        ]
    }

    @Test func saysHowItStandsAndEachChange() throws {
        var driver = try driver()
        #expect(try driver.read().map(\.values) == [values(false, changes: 0)])
        #expect(driver.descriptors.count == 1)
        line.change(to: true)
        line.change(to: false)
        #expect(try driver.react().map(\.values) == [values(true, changes: 1), values(false, changes: 2)])
        #expect(try driver.react() == [])
        #expect(try driver.read().map(\.values) == [values(false, changes: 2)])
    }

    @Test func theTimeIsThatOfTheEdge() throws {
        var driver = try driver()
        _ = try driver.read()
        let before = WallClock.system.now()
        line.change(to: true, at: .now + .seconds(-3))
        let time = try #require(try driver.react().first?.time)
        #expect(abs(time - (before - 3_000_000)) < 1_000_000)
    }

    @Test func asksForWhatTheAttributesSay() throws {
        var driver = try driver(["active_low": true, "bias": "pull_up"])
        line.level = true
        #expect(try driver.read().map(\.values) == [values(false, changes: 0)])
        line.change(to: false)
        #expect(try driver.react().map(\.values) == [values(true, changes: 1)])
        #expect(
            hardware.requests == [
                LineRequest(
                    [.name("DOOR")], .input(.both), bias: .pullUp, isActiveLow: true, consumer: "sensorhub sensor-1")
            ])
    }

    @Test func bouncesAreNoChanges() throws {
        var driver = try driver(["debounce_ms": 50])
        _ = try driver.read()
        let start = Instant.now + .milliseconds(-100)
        line.change(to: true, at: start)
        line.change(to: false, at: start + .milliseconds(1))
        line.change(to: true, at: start + .milliseconds(2))
        // It has lasted since: no edge follows, time alone says so.
        #expect(try driver.react().map(\.values) == [values(true, changes: 1, bounces: 1)])
        #expect(driver.wakeUp == nil)
        line.change(to: false)
        #expect(try driver.react() == [])
        #expect(driver.wakeUp != nil)
        pause(.milliseconds(60))
        #expect(try driver.react().map(\.values) == [values(false, changes: 2, bounces: 1)])
    }

    @Test func lostEdgesAreCounted() throws {
        var driver = try driver()
        _ = try driver.read()
        line.change(to: true)
        line.change(to: true)
        #expect(try driver.react().map(\.values) == [values(true, changes: 1)])
        #expect(try driver.read().map(\.values) == [values(true, changes: 1, lost: 1)])
        // The line has changed and no edge has told: it is known all the same.
        line.level = false
        #expect(
            try driver.read().map(\.values) == [values(false, changes: 2, lost: 1), values(false, changes: 2, lost: 1)])
    }

    /// A line of a chip that has no interrupts.
    @Test func isLookedAtWhereThatIsWanted() throws {
        var driver = try driver(["poll_ms": 5])
        #expect(driver.wakeUp == nil)
        #expect(try driver.read().map(\.values) == [values(false, changes: 0)])
        #expect(hardware.requests.map(\.direction) == [.input(.none)])
        #expect(driver.descriptors.isEmpty)
        #expect(try #require(driver.wakeUp) <= .now + .milliseconds(5))
        line.change(to: true)
        #expect(try driver.react().map(\.values) == [values(true, changes: 1)])
        #expect(try driver.react() == [])
    }

    @Test func isLookedAtAndDebounced() throws {
        var driver = try driver(["poll_ms": 1, "debounce_ms": 50])
        _ = try driver.read()
        line.change(to: true)
        #expect(try driver.react() == [])
        line.change(to: false)
        #expect(try driver.react() == [])
        line.change(to: true)
        #expect(try driver.react() == [])
        pause(.milliseconds(60))
        #expect(try driver.react().map(\.values) == [values(true, changes: 1, bounces: 1)])
    }

    /// What had happened before is told when it is there again.
    @Test func changesBeforeAFaultAreNotLost() throws {
        var driver = try driver(["debounce_ms": 50])
        _ = try driver.read()
        line.change(to: true, at: .now + .milliseconds(-200))
        line.failsAfterEdges = true
        #expect(throws: SensorFault.self) { try driver.react() }
        line.failsAfterEdges = false
        #expect(try driver.read().map(\.values) == [values(true, changes: 1), values(true, changes: 1)])
    }

    @Test func aLineThatFailsIsTakenAnew() throws {
        var driver = try driver()
        _ = try driver.read()
        line.change(to: true)
        _ = try driver.react()
        line.fault = SensorFault("gone")
        #expect(throws: SensorFault("gone")) { try driver.react() }
        #expect(!line.isHeld && driver.descriptors.isEmpty)
        line.fault = nil
        #expect(try driver.read().map(\.values) == [values(true, changes: 1)])
        #expect(line.isHeld)
    }

    @Test(
        arguments: [
            (["line": .null], "'line' is missing"),
            (
                ["line": 17],
                "line: expected the name of a line or {\"chip\": name, \"offset\": number}, found a whole number"
            ),
            (["line": ["chip": 0]], "line: 'offset' is missing"),
            (
                ["bias": "pullup"],
                "bias: 'pullup' is none of as_is, disabled, pull_up, pull_down (did you mean 'pull_up'?)"
            ),
            (["debounce_ms": -1], "debounce_ms: must be from 0.0 to 10000.0, is -1.0"),
            (["poll_ms": 0], "poll_ms: must be from 1 to 10000, is 0"),
            (["active_low": 1], "active_low: expected true or false, found a whole number"),
        ] as [(JSONObject, String)])
    func wrongAttributes(attributes: JSONObject, message: String) {
        let error = #expect(throws: ValidationError.self) { try driver(attributes) }
        #expect(error?.description == message)
    }
}
