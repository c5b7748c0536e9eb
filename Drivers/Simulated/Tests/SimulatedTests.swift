import SensorKit
import Synchronization
import Testing

@testable import Drivers

/// A clock that a test sets, in seconds since 1970.
private final class TestClock: Sendable {
    private let seconds = Mutex(0.0)

    func set(_ value: Double) { seconds.withLock { $0 = value } }

    var clock: WallClock {
        WallClock { [self] in Int64(seconds.withLock { $0 } * 1e6) }
    }
}

private let luxType = SensorType(
    name: Identifier("luxsensor")!,
    fields: [
        Field(name: "lux", type: .float), Field(name: "light", type: .bool), Field(name: "level", type: .int),
        Field(name: "mode", type: .string),
    ],
    functions: [ControlFunction(name: "set", parameters: [Field(name: "light", type: .bool)])])

private func makeDriver(
    _ attributes: String, functions: [ControlFunction] = luxType.functions, clock: WallClock = .system
) throws -> SimulatedDriver {
    try SimulatedDriver(
        DriverContext(
            instance: Identifier("lux-1")!,
            type: SensorType(name: luxType.name, fields: luxType.fields, functions: functions),
            attributes: try #require(try JSON(parsing: attributes).object), clock: clock))
}

extension SimulatedDriver {
    fileprivate mutating func value(_ field: String) throws -> JSON? { try read()[0].values[field] }
}

@Suite struct PatternTests {
    @Test func aFieldWithoutPatternHoldsZero() throws {
        var driver = try makeDriver("{}")
        #expect(try driver.read()[0].values == ["lux": 0.0, "light": false, "level": 0, "mode": ""])
    }

    @Test(arguments: [
        (#"{"pattern": "constant", "value": 7}"#, [(0.0, 7.0), (5.0, 7.0)]),
        (
            #"{"pattern": "sine", "min": 10, "max": 20, "period_seconds": 40}"#,
            [(0.0, 15.0), (10.0, 20.0), (30.0, 10.0), (50.0, 20.0)]
        ),
        (
            #"{"pattern": "ramp", "min": 0, "max": 100, "period_seconds": 10}"#,
            [(0.0, 0.0), (2.5, 25.0), (9.0, 90.0), (10.0, 0.0), (1_763_677_055.0, 50.0)]
        ),
        (#"{"pattern": "steps", "values": [1, 2.5], "every_seconds": 2}"#, [(0.0, 1.0), (2.0, 2.5), (5.9, 1.0)]),
    ])
    func followsTheTimeOfDay(pattern: String, expected: [(Double, Double)]) throws {
        let clock = TestClock()
        var driver = try makeDriver(#"{"simulate": {"lux": \#(pattern)}}"#, clock: clock.clock)
        for (seconds, value) in expected {
            clock.set(seconds)
            #expect(abs(try #require(try driver.value("lux")?.double) - value) < 1e-6)
        }
    }

    @Test func stepsCanBeTextOrTruth() throws {
        let clock = TestClock()
        var driver = try makeDriver(
            """
            {"simulate": {"mode": {"pattern": "steps", "values": ["day", "night"], "every_seconds": 1},
                          "light": {"pattern": "steps", "values": [true, false], "every_seconds": 1}}}
            """, clock: clock.clock)
        #expect(try driver.value("mode") == "day")
        clock.set(1)
        #expect(try driver.value("mode") == "night")
        #expect(try driver.value("light") == false)
    }

    @Test func randomStaysInItsRange() throws {
        var driver = try makeDriver(#"{"simulate": {"lux": {"pattern": "random", "min": -1, "max": 1}}}"#)
        for _ in 0..<100 { #expect((-1...1).contains(try #require(try driver.value("lux")?.double))) }
    }

    @Test func wholeNumbersAreRounded() throws {
        let clock = TestClock()
        var driver = try makeDriver(
            #"{"simulate": {"level": {"pattern": "ramp", "min": 0, "max": 10, "period_seconds": 10}}}"#,
            clock: clock.clock)
        clock.set(2.6)
        #expect(try driver.value("level") == 3)
    }
}

@Suite struct AdditionTests {
    @Test func addsOtherFieldsWhateverTheirOrder() throws {
        var driver = try makeDriver(
            """
            {"simulate": {"lux": {"pattern": "constant", "value": 1, "add": {"light": 300, "level": 0.5}},
                          "level": {"pattern": "constant", "value": 10, "add": {"light": 4}},
                          "light": {"pattern": "constant", "value": true}}}
            """)
        #expect(try driver.read()[0].values == ["lux": 308.0, "light": true, "level": 14, "mode": ""])
    }

    @Test func hugeFactorsDoNotTrap() throws {
        var driver = try makeDriver(
            """
            {"simulate": {"lux": {"pattern": "constant", "value": 1e15},
                          "level": {"pattern": "constant", "value": 0, "add": {"lux": -1e15}}}}
            """)
        #expect(try driver.value("level") == .int(.min))
    }
}

@Suite struct SimulatedControlTests {
    private func call(_ function: String, _ parameters: JSONObject) -> ControlCall {
        ControlCall(id: "1", function: function, parameters: parameters)
    }

    @Test func aParameterSetsTheFieldOfItsName() throws {
        var driver = try makeDriver(
            """
            {"simulate": {"lux": {"pattern": "constant", "value": 5, "add": {"light": 300}},
                          "light": {"pattern": "steps", "values": [false], "every_seconds": 1}}}
            """)
        #expect(try driver.value("lux") == 5.0)
        try driver.control(call("set", ["light": true]))
        #expect(try driver.read()[0].values == ["lux": 305.0, "light": true, "level": 0, "mode": ""])
    }

    @Test func anEntrySaysWhatIsSet() throws {
        let function = ControlFunction(name: "dim", parameters: [Field(name: "to", type: .int)])
        var driver = try makeDriver(
            #"{"on_control": {"dim": {"level": "$to", "lux": "$to", "mode": "manual", "light": true}}}"#,
            functions: [function])
        try driver.control(call("dim", ["to": 40]))
        #expect(try driver.read()[0].values == ["lux": 40.0, "light": true, "level": 40, "mode": "manual"])
    }
}

@Suite struct SimulatedConfigurationTests {
    @Test(arguments: [
        (#"{"simulate": 5}"#, "simulate: expected an object, found a whole number"),
        (#"{"simulate": {"lx": {}}}"#, "simulate.lx: the type has no field 'lx' (did you mean 'lux'?)"),
        (#"{"simulate": {"lux": {}}}"#, "simulate.lux: 'pattern' is missing"),
        (
            #"{"simulate": {"lux": {"pattern": "sines"}}}"#,
            "simulate.lux.pattern: 'sines' is no pattern: constant, sine, ramp, random, steps (did you mean 'sine'?)"
        ),
        (
            #"{"simulate": {"mode": {"pattern": "sine", "min": 0, "max": 1, "period_seconds": 1}}}"#,
            "simulate.mode.pattern: 'sine' makes numbers, but 'mode' is string: 'constant' and 'steps' can do that"
        ),
        (
            #"{"simulate": {"lux": {"pattern": "random", "min": 2, "max": 1}}}"#,
            "simulate.lux.max: must not be below 'min', which is 2.0"
        ),
        (
            #"{"simulate": {"lux": {"pattern": "ramp", "min": 0, "max": 1, "period_seconds": 0}}}"#,
            "simulate.lux.period_seconds: must be from 0.001 to 1e9 seconds, is 0.0"
        ),
        (
            #"{"simulate": {"lux": {"pattern": "ramp", "min": 0, "max": 1, "period": 5}}}"#,
            "simulate.lux: unknown key 'period'"
        ),
        (
            #"{"simulate": {"lux": {"pattern": "constant", "value": 1, "ad": {}}}}"#,
            "simulate.lux: unknown key 'ad' (did you mean 'add'?)"
        ),
        (
            #"{"simulate": {"level": {"pattern": "constant", "value": 1.5}}}"#,
            "simulate.level.value: expected a whole number for 'level', found a number"
        ),
        (
            #"{"simulate": {"light": {"pattern": "steps", "values": [true, 1], "every_seconds": 1}}}"#,
            "simulate.light.values[1]: expected true or false for 'light', found a whole number"
        ),
        (
            #"{"simulate": {"light": {"pattern": "steps", "values": [], "every_seconds": 1}}}"#,
            "simulate.light.values: at least one value is needed"
        ),
        (
            #"{"simulate": {"lux": {"pattern": "constant", "value": 1e300}}}"#,
            "simulate.lux.value: must be from -1e15 to 1e15, is 1e+300"
        ),
        (
            #"{"simulate": {"lux": {"pattern": "constant", "value": 1, "add": {"mode": 1}}}}"#,
            "simulate.lux.add.mode: 'mode' is text, which cannot be added"
        ),
        (
            #"{"simulate": {"light": {"pattern": "constant", "value": true, "add": {"lux": 1}}}}"#,
            "simulate.light.add: 'light' is bool, no number"
        ),
        (
            #"{"simulate": {"lux": {"pattern": "constant", "value": 1, "add": {"lux": 1}}}}"#,
            "simulate.lux.add: goes round in a circle: 'lux' is added to itself"
        ),
        (#"{"on_control": {"sit": {}}}"#, "on_control.sit: the type has no function 'sit' (did you mean 'set'?)"),
        (
            #"{"on_control": {"set": {}}}"#,
            "on_control.set: calling 'set' would change nothing: name the fields that it sets, as {\"lux\": \"$light\"}"
        ),
        (#"{"on_control": {"set": {"lx": 1}}}"#, "on_control.set.lx: the type has no field 'lx' (did you mean 'lux'?)"),
        (
            #"{"on_control": {"set": {"light": "$lght"}}}"#,
            "on_control.set.light: 'set' has no parameter 'lght' (did you mean 'light'?)"
        ),
        (
            #"{"on_control": {"set": {"lux": "$light"}}}"#,
            "on_control.set.lux: parameter 'light' is bool, but field 'lux' is float"
        ),
        (
            #"{"on_control": {"set": {"light": 1}}}"#,
            "on_control.set.light: expected true or false for 'light', found a whole number"
        ),
    ])
    func namesTheAttributeAtFault(attributes: String, message: String) {
        #expect { try makeDriver(attributes) } throws: { error in
            #expect("\(error)" == message)
            return error is ValidationError
        }
    }

    @Test func aFunctionMustChangeSomething() {
        let function = ControlFunction(name: "reset", parameters: [])
        #expect { try makeDriver("{}", functions: [function]) } throws: {
            "\($0)" == "on_control.reset: calling 'reset' would change nothing: name the fields that it sets, "
                + "as {\"lux\": value}"
        }
    }
}

@Suite struct DriverListTests {
    @Test func namesAreIDsAndUnique() {
        #expect(drivers.allSatisfy { Identifier($0.name) != nil })
        #expect(Set(drivers.map { $0.name }).count == drivers.count)
    }
}
