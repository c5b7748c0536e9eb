import HubModel
import SimdJSON
import Testing

@testable import SensorKit

@Suite struct ReadingRulesTests {
    private let type = SensorType(
        name: Identifier("climate")!,
        fields: [
            Field(name: "temperature", type: .float), Field(name: "count", type: .int),
            Field(name: "open", type: .bool),
        ], functions: [])

    private func rules(_ attributes: JSONObject) throws -> ReadingRules {
        try ReadingRules(DocumentReader(.object(attributes)), type: type)
    }

    private func at(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }

    @Test func withoutRulesEveryReadingPassesAsItIs() throws {
        var rules = try rules([:])
        for second in 0..<3 {
            #expect(try rules.take(["temperature": 20.123], at: at(Int64(second))) == ["temperature": 20.123])
        }
        #expect(rules.alerts.isEmpty)
    }

    @Test func smallChangesAreLeftOutUntilTheSilenceIsTooLong() throws {
        var rules = try rules(["fields": ["temperature": ["delta": 0.5]], "max_silence_seconds": 60])
        let passed = try [(0, 20.0), (1, 20.4), (2, 20.5), (3, 20.1), (4, 19.9), (63, 19.9), (64, 19.9)].filter {
            try rules.take(["temperature": .double($0.1)], at: at(Int64($0.0))) != nil
        }
        #expect(passed.map(\.0) == [0, 2, 4, 64])
    }

    @Test func whatIsNoNumberAlwaysCounts() throws {
        var rules = try rules(["fields": ["temperature": ["delta": 0.5]]])
        #expect(try rules.take(["temperature": 20.0, "open": false], at: at(0)) != nil)
        #expect(try rules.take(["temperature": 20.0, "open": false], at: at(1)) == nil)
        #expect(try rules.take(["temperature": 20.0, "open": true], at: at(2)) != nil)
        // A field that has come or gone does so, too.
        #expect(try rules.take(["temperature": 20.0], at: at(3)) != nil)
    }

    @Test func digitsAreRounded() throws {
        var rules = try rules(["fields": ["temperature": ["precision": 1], "count": ["precision": 0]]])
        #expect(try rules.take(["temperature": 20.16, "count": 7], at: at(0)) == ["temperature": 20.2, "count": 7])
        #expect(try rules.take(["temperature": 1e300], at: at(1)) == ["temperature": 1e300])
    }

    @Test func whatCannotBeIsNoMeasurement() throws {
        var rules = try rules(["fields": ["temperature": ["range": [-40, 85], "warning": [0, 30]]]])
        let fault = #expect(throws: SensorFault.self) { try rules.take(["temperature": 312.5], at: at(0)) }
        #expect(fault?.reason == "temperature is 312.5, and can only be -40.0 to 85.0: that is no measurement")
        #expect(rules.alerts.isEmpty)
    }

    @Test func aLevelIsEnteredAtItsBoundAndLeftWithAMargin() throws {
        var rules = try rules(["fields": ["temperature": ["delta": 1, "warning": [5, 30], "error": [.null, 40]]]])
        var levels: [FieldAlert.Level] = []
        for (second, value) in [29.0, 30.5, 29.5, 28.9, 41, 39.5, 38, 4.9, 20].enumerated() {
            _ = try rules.take(["temperature": .double(value)], at: at(Int64(second)))
            levels.append(rules.alerts.first?.level ?? .normal)
        }
        #expect(levels == [.normal, .warning, .warning, .normal, .error, .error, .warning, .warning, .normal])
    }

    @Test func theReasonStaysTheSameWhileTheLevelDoes() throws {
        var rules = try rules(["fields": ["temperature": ["error": [.null, 40]]]])
        _ = try rules.take(["temperature": 41], at: at(0))
        let first = rules.alerts
        _ = try rules.take(["temperature": 42], at: at(1))
        #expect(rules.alerts == first)
        #expect(first.map(\.reason) == ["temperature is not 40.0 or less"])
    }

    @Test func aFlatLineIsNoticedAndForgotten() throws {
        var rules = try rules(["fields": ["temperature": ["stuck_after_seconds": 60]]])
        for second in [0, 30, 59] as [Int64] { _ = try rules.take(["temperature": 20.5], at: at(second)) }
        #expect(rules.alerts.isEmpty)
        _ = try rules.take(["temperature": 20.5], at: at(60))
        #expect(
            rules.alerts.map(\.reason) == ["temperature has been exactly 20.5 for more than 60 s: is the sensor stuck?"]
        )
        _ = try rules.take(["temperature": 20.6], at: at(61))
        #expect(rules.alerts.isEmpty)
    }

    @Test(
        arguments: [
            (
                ["fields": ["temprature": [:]]],
                "fields.temprature: type 'climate' has no such field (did you mean 'temperature'?)"
            ),
            (["fields": ["open": [:]]], "fields.open: is bool: there are rules for numbers only"),
            (
                ["fields": ["temperature": ["dleta": 1]]],
                "fields.temperature: unknown key 'dleta' (did you mean 'delta'?)"
            ),
            (["fields": ["temperature": ["delta": 0]]], "fields.temperature.delta: must be more than 0, is 0.0"),
            (
                ["fields": ["temperature": ["range": [3]]]],
                "fields.temperature.range: expected [lower, upper], one of which may be null"
            ),
            (
                ["fields": ["temperature": ["range": [3, 3]]]],
                "fields.temperature.range: the lower bound 3.0 is not below the upper bound 3.0"
            ),
            (
                ["fields": ["temperature": ["warning": [0, 50], "error": [0, 40]]]],
                "fields.temperature: 'warning' (0.0 to 50.0) reaches beyond 'error' (0.0 to 40.0)"
            ),
            (["max_silence_seconds": 0], "max_silence_seconds: must be from 1 to 86400, is 0"),
        ] as [(JSONObject, String)])
    func contradictionsAreNamed(attributes: JSONObject, message: String) {
        let error = #expect(throws: ValidationError.self) { try rules(attributes) }
        #expect(error?.description == message)
    }
}
