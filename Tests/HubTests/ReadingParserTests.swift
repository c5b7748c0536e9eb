import HubModel
import SimdJSON
import Testing

@testable import Hub

@Suite struct ReadingParserTests {
    private let type = IngestType(
        id: 1, table: "climate",
        fields: [
            Field(name: "temperature", type: .float), Field(name: "count", type: .int),
            Field(name: "room", type: .string),
            Field(name: "open", type: .bool),
        ])

    private struct Outcome: Equatable {
        var readings: [String] = []
        var faults: [String] = []
        var notes: [String] = []
    }

    private func parse(_ payload: [UInt8]) -> Outcome {
        var outcome = Outcome()
        payload.withUnsafeBytes { bytes in
            ReadingParser().parse(bytes, as: type) { item in
                switch item {
                case .reading(let reading):
                    let key = reading.key.map { "\($0.time)/\($0.boot)/\($0.sequence) " } ?? ""
                    let values = reading.values.map { value in value.flatMap { try? JSON($0).text() } ?? "-" }
                    outcome.readings.append((reading.isUncertain ? "~" : "") + key + values.joined(separator: " "))
                case .refused(let fault, _, _):
                    outcome.faults.append(fault.field.isEmpty ? fault.reason : "\(fault.field): \(fault.reason)")
                case .note(let note): outcome.notes.append("\(note)")
                case .clock(let correction):
                    outcome.notes.append("\(correction.boot) \(correction.sequences) \(correction.offset)")
                }
            }
        }
        return outcome
    }

    private func parse(_ payload: String) -> Outcome { parse(Array(payload.utf8)) }

    @Test(arguments: [
        (
            #"{"t": 5, "boot": 1, "seq": 2, "v": {"temperature": 20.5, "count": 3, "room": "a", "open": true}}"#,
            #"5/1/2 20.5 3 "a" true"#
        ),
        (#"{"v": {"open": false, "temperature": 20}, "seq": 2, "boot": 1, "t": 5}"#, "5/1/2 20 - - false"),
        (#"{"t": 5, "boot": 1, "seq": 2, "v": {"temperature": null, "count": 3}}"#, "5/1/2 - 3 - -"),
        (#"{"temperature": 1e3, "room": "\u00fc"}"#, #"1000.0 - "ü" -"#),
    ])
    func goodReadingsAreTaken(_ payload: String, _ expected: String) {
        #expect(parse(payload) == Outcome(readings: [expected]))
    }

    @Test(arguments: [
        (
            #"{"t": 5, "boot": 1, "seq": 2, "v": {"temprature": 1}}"#,
            "v.temprature: the sensor's type has no such field (did you mean 'temperature'?)"
        ),
        (#"{"t": 5, "boot": 1, "seq": 2, "v": {"count": 1.5}}"#, "v.count: expected a whole number, found a number"),
        (#"{"t": 5, "boot": 1, "seq": 2, "v": {"open": "true"}}"#, "v.open: expected true or false, found text"),
        (
            #"{"t": 5, "boot": 1, "seq": 2, "v": {"count": 18446744073709551615}}"#,
            "v.count: expected a whole number, found a number"
        ),
        (
            #"{"t": 5, "boot": 1, "seq": 2, "v": {"room": "a\u0000b"}}"#,
            "v.room: text with the character NUL cannot be stored"
        ),
        (#"{"t": 5, "boot": 1, "seq": 2, "v": {"count": 1, "count": 2}}"#, "v.count: stands here twice"),
        (#"{"t": 5, "boot": 1, "seq": 2, "v": {}}"#, "v: there is no value in it"),
        (#"{"boot": 1, "seq": 2, "v": {"count": 1}}"#, "t: is missing"),
        (#"{"t": 5, "boot": 1, "seq": "2", "v": {"count": 1}}"#, "seq: expected a whole number, found text"),
        (#"{"t": 9999999999999999, "boot": 1, "seq": 2, "v": {"count": 1}}"#, "t: 9999999999999999 is out of range"),
        (#"{"t": 5, "boot": -1, "seq": 2, "v": {"count": 1}}"#, "boot: -1 is out of range"),
        (
            #"{"t": 5, "boot": 1, "seq": 2, "v": {"count": 1}, "x": 1}"#,
            "a reading has 't', 'boot', 'seq' and 'v', perhaps 'u', and no other key"
        ),
        (#"{"boot": 1, "lost": [3]}"#, "lost: expected [first, last]"),
        (#"{"boot": 1, "lost": [4, 3]}"#, "lost: expected [first, last]"),
        (#"{"boot": 1, "end": -1}"#, "end: -1 is out of range"),
        (#"{"boot": 1, "lost": [1, 99999999999999999]}"#, "lost: 99999999999999999 is out of range"),
        (#"{"boot": 1, "end": 1, "x": 1}"#, "boot: the sensor's type has no such field"),
        ("{}", "there is no value in it"),
        ("21.5", "expected an object, found a number"),
        ("null", "expected an object, found null"),
    ])
    func theFaultIsNamed(_ payload: String, _ expected: String) {
        #expect(parse(payload) == Outcome(faults: [expected]))
    }

    @Test func whatADriverSaysBesidesReadingsIsTaken() {
        let outcome = parse(
            """
            [{"boot": 1, "lost": [3, 5]}, {"boot": 1, "end": 9}, {"boot": 2, "clock": [1, 4], "offset": -7},
             {"t": 5, "boot": 2, "seq": 1, "u": true, "v": {"count": 1}}]
            """)
        #expect(outcome.notes == ["lost(boot: 1, ClosedRange(3...5))", "ended(boot: 1, at: 9)", "2 1...4 -7"])
        #expect(outcome.readings == ["~5/2/1 - 1 - -"])
        #expect(outcome.faults.isEmpty)
    }

    @Test func oneBadReadingInAnArrayLeavesTheOthersAlone() {
        let outcome = parse(#"[{"count": 1}, {"count": "x"}, 7, {"count": 2}]"#)
        #expect(outcome.readings == ["- 1 - -", "- 2 - -"])
        #expect(
            outcome.faults == [
                "count: expected a whole number, found text", "expected an object, found a whole number",
            ])
    }

    @Test func anEmptyArrayIsNothing() {
        #expect(parse("[]") == Outcome())
    }

    /// With names, as a test run prints its arguments.
    private static let noJSON: [String: [UInt8]] = [
        "nothing": [], "NUL": [0x00], "no UTF-8": [0xFF, 0xFE], "no UTF-8 in text": [0x22, 0xC3, 0x28, 0x22],
        "a brace": Array("{".utf8), "a torn object": Array(#"{"count": 1"#.utf8),
        "deep nesting": Array(repeating: UInt8(ascii: "["), count: 100_000),
    ]

    @Test(arguments: noJSON.keys.sorted())
    func whatIsNotJSONIsOneFault(_ name: String) throws {
        let outcome = parse(try #require(Self.noJSON[name]))
        #expect(outcome.readings.isEmpty)
        #expect(outcome.faults.count == 1)
    }
}

@Suite struct IngestBatchTests {
    private let entry = IngestCatalog.Entry(
        sensorID: 7, sensor: Identifier("s")!,
        type: IngestType(id: 1, table: "climate", fields: [Field(name: "count", type: .int)]))
    private let topics = Topics(hub: Identifier("main")!)

    private func batch(_ payloads: String..., offset: Int64? = nil) -> IngestBatch {
        var batch = IngestBatch()
        let parser = ReadingParser()
        var next: Int64 = 100
        for payload in payloads {
            Array(payload.utf8).withUnsafeBytes {
                batch.add(
                    $0, from: entry, topics: topics, receivedAt: 50, parser: parser, nextSequence: &next
                ) { _ in offset }
            }
        }
        return batch
    }

    private func latest(_ batch: IngestBatch) -> String? {
        batch.sensors.first?.latest.map {
            String(decoding: batch.value(of: $0, parser: ReadingParser()), as: UTF8.self)
        }
    }

    @Test func aLateReadingDoesNotBecomeTheLatest() {
        let batch = batch(
            #"[{"t": 7, "boot": 1, "seq": 1, "v": {"count": 1}}, {"t": 9, "boot": 1, "seq": 3, "v": {"count": 3}}]"#,
            #"{"t": 8, "boot": 1, "seq": 2, "v": {"count": 2}}"#)
        #expect(batch.readings == 3)
        #expect(latest(batch) == #"{"count":3}"#)
        #expect(
            batch.sensors.first?.notes.notes == [.came(boot: 1, 1...1), .came(boot: 1, 3...3), .came(boot: 1, 2...2)])
    }

    @Test func bareReadingsHaveNoNumbers() {
        let batch = batch(#"{"count": 1}"#, #"{"count": 2}"#)
        #expect(batch.readings == 2)
        #expect(batch.sensors.first?.notes.isEmpty == true)
        #expect(batch.sensors.first?.latest?.key == ReadingKey(time: 50, boot: 0, sequence: 101))
    }

    @Test func aReadingThatCannotBeStoredHasComeAllTheSame() {
        let batch = batch(#"{"t": 7, "boot": 1, "seq": 4, "v": {"count": "x"}}"#)
        #expect(batch.readings == 0)
        #expect(batch.deadLetters.map(\.fault.field) == ["v.count"])
        #expect(batch.sensors.first?.notes.notes == [.came(boot: 1, 4...4)])
    }

    @Test func readingsOfAWrongClockAreKeptApart() {
        let payload = #"{"t": 7, "boot": 1, "seq": 4, "u": true, "v": {"count": 1}}"#
        #expect(batch(payload).columns.map(\.clock) == [.uncertain])
        let corrected = batch(payload, offset: 100)
        #expect(corrected.columns.map(\.clock) == [.corrected])
        #expect(corrected.sensors.first?.latest?.key.time == 107)
    }

    @Test func aTypeThatGainsAFieldAndANewSensorOfItComeInOneBatch() {
        let wider = IngestType(
            id: 1, table: "climate", fields: entry.type.fields + [Field(name: "open", type: .bool)])
        let same = IngestCatalog.Entry(sensorID: 7, sensor: entry.sensor, type: wider)
        let other = IngestCatalog.Entry(sensorID: 8, sensor: Identifier("new")!, type: wider)
        var batch = IngestBatch()
        var next: Int64 = 100
        for (entry, payload) in [
            (entry, #"{"t": 9, "boot": 1, "seq": 1, "v": {"count": 1}}"#),
            (entry, #"{"t": 9, "boot": 1, "seq": 2, "v": {"count": 2, "open": true}}"#),
            (other, #"{"t": 9, "boot": 1, "seq": 1, "v": {"open": true, "count": 3}}"#),
            (same, #"{"t": 5, "boot": 1, "seq": 3, "v": {"count": 4, "open": false}}"#),
        ] {
            Array(payload.utf8).withUnsafeBytes {
                batch.add(
                    $0, from: entry, topics: topics, receivedAt: 50, parser: ReadingParser(), nextSequence: &next
                ) { _ in nil }
            }
        }
        // What came before the field was there is judged, and stored, by the type of then.
        #expect(batch.deadLetters.map(\.fault.field) == ["v.open"])
        #expect(batch.columns.map(\.count) == [1, 2])
        #expect(batch.columns.map { $0.fields.map(\.count) } == [[1], [2, 2]])
        let values = batch.sensors.map {
            String(decoding: batch.value(of: $0.latest!, parser: ReadingParser()), as: UTF8.self)
        }
        #expect(values == [#"{"count":1}"#, #"{"open":true,"count":3}"#])
    }

    @Test func aRefusedTypeGoesToTheDeadLetters() {
        var batch = batch(#"[{"count": 1}, {"count": 2}]"#, #"{"count": 3}"#, "junk")
        batch.refuse(batch.columns[0], reason: "no table", topics: topics, receivedAt: 60)
        #expect(batch.readings == 0)
        #expect(batch.columns.allSatisfy { $0.count == 0 })
        #expect(batch.sensors.first?.latest == nil)
        #expect(
            batch.deadLetters.map { String(decoding: $0.payload, as: UTF8.self) } == [
                "junk", #"[{"count": 1}, {"count": 2}]"#, #"{"count": 3}"#,
            ])
    }
}
