import HardwareSupport
import SensorKit
import TestSupport
import Testing

@testable import Drivers

@Suite struct PulseCounterRateTests {
    private let start = Instant(nanoseconds: 1_000_000_000_000)

    private func at(_ seconds: Double) -> Instant { start + .nanoseconds(Int64(seconds * 1e9)) }

    @Test func isThatBetweenPulses() {
        var rate = PulseRate(patience: .seconds(60), start: start)
        #expect(rate.perSecond(at: at(1)) == nil)
        rate.add(1, at: at(2))
        #expect(rate.perSecond(at: at(3)) == nil)
        for time in [4.0, 6, 8] { rate.add(1, at: at(time)) }
        // Three pulses in six seconds, whenever it is asked.
        #expect(rate.perSecond(at: at(8.5)) == 0.5)
    }

    @Test func falls() {
        var rate = PulseRate(patience: .seconds(60), start: start)
        rate.add(1, at: at(1))
        _ = rate.perSecond(at: at(1))
        rate.add(4, at: at(2))
        #expect(rate.perSecond(at: at(2)) == 4)
        #expect(rate.perSecond(at: at(2.1)) == 4)
        #expect(rate.perSecond(at: at(12)) == 0.1)
        #expect(rate.perSecond(at: at(62)) == 0)
        // The first after a long silence says nothing of now.
        rate.add(1, at: at(1_002))
        #expect(rate.perSecond(at: at(1_003)) == 1e-3)
    }

    @Test func nothingFlowsFromTheStart() {
        var rate = PulseRate(patience: .seconds(60), start: start)
        #expect(rate.perSecond(at: at(60)) == 0)
    }
}

@Suite struct PulseCounterMeterTests {
    @Test func anotherFactorHoldsFromNowOn() throws {
        var meter = MeterTotal(total: 100, factor: 0.5)
        meter.add(10)
        #expect(meter.total == 105)
        var next = try #require(MeterTotal(meter.saved, factor: 2))
        #expect(next.total == 105 && next.pulses == 10)
        next.add(1)
        #expect(next.total == 107)
        next.set(total: 3)
        next.add(1)
        #expect(next.total == 5)
        #expect(MeterTotal(next.saved, factor: 2) == next)
    }

    @Test(
        arguments: [
            [:], ["pulses": -1, "base": 0, "base_pulses": 0, "factor": 1],
            ["pulses": 1, "base": "x", "base_pulses": 0, "factor": 1],
            ["pulses": 1, "base": 0, "base_pulses": 2, "factor": 1],
        ] as [JSONObject])
    func whatIsNoMeter(saved: JSONObject) {
        #expect(MeterTotal(saved, factor: 1) == nil)
    }
}

@Suite struct PulseCounterTests {
    private let folder = TemporaryFolder()
    private let hardware = ScriptedHardware()
    private let line = ScriptedLine()

    private func driver(_ attributes: JSONObject = [:], state: String? = nil) throws -> PulseCounterDriver {
        hardware.lines = ["METER": line]
        var all: JSONObject = ["line": "METER"]
        for member in attributes { all[member.key] = member.value }
        return try PulseCounterDriver(
            hardware.context(
                fields: PulseCounterDriver.fields, functions: PulseCounterDriver.functions, attributes: all,
                stateDirectory: state))
    }

    private func pulse(at time: Instant = .now, width: Duration = .milliseconds(1), number: Int64? = nil) {
        line.change(to: true, at: time, number: number)
        line.change(to: false, at: time + width, number: number.map { $0 + 1 })
    }

    @Test func counts() throws {
        var driver = try driver(["factor": 0.25, "first_total": 10, "unit": "l", "rate_per": "minute"])
        _ = try driver.read()
        let start = Instant.now + .seconds(-10)
        for second in 0..<4 { pulse(at: start + .seconds(second)) }
        #expect(try driver.react().isEmpty)
        let values = try driver.read()[0].values
        #expect(values["total"] == 11.0)
        #expect(values["pulses"] == 4)
        #expect(values["unit"] == "l")
        #expect(values["lost_edges"] == 0)
    }

    @Test func eachPulseIsAReadingWhereThatIsWanted() throws {
        let clock = WallClock { 1_000_000_000 }
        hardware.lines = ["METER": line]
        var driver = try PulseCounterDriver(
            hardware.context(
                fields: [Field(name: "pulses", type: .int)], attributes: ["line": "METER", "each_pulse": true],
                clock: clock))
        _ = try driver.read()
        pulse(at: .now + .seconds(-1))
        pulse(at: .now + .milliseconds(-500))
        let measurements = try driver.react()
        #expect(measurements.map(\.values) == [["pulses": 1], ["pulses": 2]])
        #expect(measurements.compactMap(\.time).allSatisfy { $0 < 1_000_000_000 })
    }

    @Test func theTotalOutlivesTheDriver() throws {
        var first = try driver(["factor": 2], state: folder.path)
        _ = try first.read()
        pulse()
        // As `kill -9` would have it: nothing is called in the end.
        _ = try first.react()
        var second = try driver(["factor": 2], state: folder.path)
        #expect(try second.read()[0].values["total"] == 2.0)
        try second.control(ControlCall(id: "1", function: "set_total", parameters: ["total": 500.5]))
        #expect(try second.read()[0].values["total"] == 500.5)
        var third = try driver(["factor": 2], state: folder.path)
        #expect(try third.read()[0].values["total"] == 500.5)
    }

    @Test func aDamagedStateIsToldOfAndBeginsAnew() throws {
        try folder.write("sensor-1.state", "{\"pulses\": 12")
        var driver = try driver(["first_total": 7], state: folder.path)
        #expect(try driver.read()[0].values["total"] == 7.0)
    }

    @Test func bouncesAreNoPulses() throws {
        var driver = try driver(["debounce_ms": 5])
        _ = try driver.read()
        let start = Instant.now + .seconds(-1)
        for (offset, level) in [(0, true), (1, false), (2, true), (50, false), (51, true), (52, false)] {
            line.change(to: level, at: start + .milliseconds(offset))
        }
        let values = try driver.read()[0].values
        #expect(values["pulses"] == 1)
        #expect(values["bounces"] == 2)
    }

    @Test func aPulseWhoseEdgeWasLostCounts() throws {
        var driver = try driver()
        _ = try driver.read()
        // Down twice in a row: it was up between.
        pulse()
        line.change(to: false)
        var values = try driver.read()[0].values
        #expect(values["pulses"] == 2)
        #expect(values["lost_edges"] == 1)
        // Numbered: 3 to 8 were lost, of which three went up.
        line.change(to: true, number: 1)
        line.change(to: false, number: 2)
        line.change(to: true, number: 9)
        values = try driver.read()[0].values
        #expect(values["pulses"] == 7)
        #expect(values["lost_edges"] == 7)
    }

    @Test(
        arguments: [
            (["factor": 0], "factor: must be more than 0, is 0.0"),
            (["debounce_ms": 10_001], "debounce_ms: must be from 0.0 to 10000.0, is 10001.0"),
            (["rate_per": "day"], "rate_per: 'day' is none of second, minute, hour"),
        ] as [(JSONObject, String)])
    func wrongAttributes(attributes: JSONObject, message: String) {
        let error = #expect(throws: ValidationError.self) { try driver(attributes) }
        #expect(error?.description.hasPrefix(message) == true)
    }
}
