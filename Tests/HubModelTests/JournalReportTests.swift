import HubModel
import SimdJSON
import Testing

@Suite struct JournalReportTests {
    private func read(_ records: String, after: Int = 7) throws -> JournalReport {
        let text = """
            {"kind": "journal", "id": "co2", "program": "driver", "origin": 1763677055123456, "after": \(after),
             "records": [\(records)]}
            """
        return try JournalReport(DocumentReader(try JSON(parsing: text)))
    }

    @Test func linesAndStatesAreRead() throws {
        let report = try read(
            """
            {"n": 8, "t": 5, "run": 3, "stream": "stderr", "text": "a\\u0000b"},
            {"n": 11, "t": 6, "run": 3, "state": "EXITED", "reason": "exit code 1", "pid": null, "exit_code": 1,
             "signal": null}
            """)
        #expect(report.program == ProgramID(.driver, Identifier("co2")!))
        #expect(report.faults == [] && report.after == 7 && report.last == 11)
        #expect(report.records.map(\.number) == [8, 11])
        #expect(report.records[0].content == .line(.stderr, "a\0b"))
        let state = ProgramReport(
            program: report.program, state: .exited, reason: "exit code 1", pid: nil, time: 6, run: 3, exitCode: 1,
            position: JournalPosition(origin: 1_763_677_055_123_456, number: 11))
        #expect(report.records[1].content == .state(state))
    }

    @Test(arguments: [
        "7", "null", "{}", #"{"n": 9}"#, #"{"n": 9, "t": 5, "run": 1, "stream": "stdin", "text": ""}"#,
        #"{"n": 9, "t": 5, "run": 1, "stream": "stdout"}"#,
        #"{"n": 9, "t": -5, "run": 1, "stream": "stdout", "text": ""}"#,
        #"{"n": 9, "t": 5, "run": -1, "stream": "stdout", "text": ""}"#,
        #"{"n": 9, "t": 5, "run": 1, "state": "GONE", "reason": ""}"#,
        #"{"n": 9, "t": 5, "run": 1, "state": "EXITED", "reason": "", "exit_code": 99999999999}"#,
        #"{"n": 0, "t": 5, "run": 1, "stream": "stdout", "text": ""}"#,
        #"{"n": "9", "t": 5, "run": 1, "stream": "stdout", "text": ""}"#,
    ])
    func aBadRecordCountsAsTakenAndSpoilsNoOther(bad: String) throws {
        func good(_ number: Int) -> String {
            #"{"n": \#(number), "t": 5, "run": 1, "stream": "stdout", "text": ""}"#
        }
        let between = try read("\(good(8)), \(bad), \(good(10))")
        #expect(between.records.map(\.number) == [8, 10] && between.faults.count == 1 && between.last == 10)
        let atTheEnd = try read("\(good(8)), \(bad)")
        #expect(atTheEnd.records.map(\.number) == [8] && atTheEnd.faults.count == 1 && atTheEnd.last == 9)
    }

    @Test func numbersGrow() throws {
        let line = #""t": 5, "run": 1, "stream": "stdout", "text": """#
        let report = try read("{\"n\": 8, \(line)}, {\"n\": 8, \(line)}, {\"n\": 3, \(line)}, {\"n\": 9, \(line)}")
        #expect(report.records.map(\.number) == [8, 9] && report.faults.count == 2 && report.last == 9)
    }

    @Test(arguments: [
        "{}", #"{"id": "x", "program": "driver", "origin": 0, "after": 0, "records": []}"#,
        #"{"id": "x", "program": "driver", "origin": 1, "after": -1, "records": []}"#,
        #"{"id": "x", "program": "driver", "origin": 1, "after": 0, "records": {}}"#,
        #"{"id": "a.b", "program": "driver", "origin": 1, "after": 0, "records": []}"#,
        #"{"id": "x", "program": "cat", "origin": 1, "after": 0, "records": []}"#,
        #"{"id": "x", "program": "driver", "origin": 1, "after": 0, "records": ["#
            + String(repeating: "7,", count: 1_000)
            + "7]}",
    ])
    func whatIsNoJournalIsRefused(text: String) throws {
        let json = try JSON(parsing: text)
        #expect(throws: ValidationError.self) { try JournalReport(DocumentReader(json)) }
    }

    @Test func whatTheNodeIsToldIsReadBack() throws {
        let committed = JournalCommitted(
            ProgramID(.algorithm, Identifier("bus-1")!), JournalPosition(origin: 1_763_677_055_123_456, number: 9))
        #expect(try JournalCommitted(DocumentReader(committed.json)) == committed)
        let longest = JournalCommitted(
            ProgramID(.algorithm, Identifier(String(repeating: "x", count: 64))!),
            JournalPosition(origin: 4_102_444_800_000_000, number: .max))
        #expect(longest.json.bytes().count <= JournalCommitted.maximumBytes)
    }

    @Test func theStateOfASnapshotSaysWhereItIsFrom() throws {
        let position = JournalPosition(origin: 50, number: 9)
        let report = ProgramReport(
            program: ProgramID(.driver, Identifier("co2")!), state: .running, reason: "a\0b", pid: 7, time: 5, run: 1,
            position: position)
        let read = try ProgramReport(DocumentReader(report.json))
        #expect(read.position == position && read.reason == "ab")
        var half = report.json.object!
        half["n"] = nil
        #expect(throws: ValidationError.self) { try ProgramReport(DocumentReader(.object(half))) }
    }
}
