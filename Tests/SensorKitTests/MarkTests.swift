import Testing

@testable import SensorKit

@Suite struct MarkTests {
    private let parser = JSONParser()

    @Test func readsWhatTheHubSays() throws {
        let text = #"{"boot": 1763677050, "seq": 7, "missing": [[5, 1, 2], [1763677050, 3, 3]], "more": [1]}"#
        let mark = try Mark(Array(text.utf8), with: parser)
        #expect(mark == Mark(boot: 1_763_677_050, seq: 7, missing: [span(5, 1...2), span(1_763_677_050, 3...3)]))
        #expect(mark.reached == mark.position)
    }

    @Test func aListThatIsCutShortReachesNoFurtherThanItself() {
        let missing = (1...20).map { span(1, $0 * 10...$0 * 10) }
        #expect(Mark(boot: 1, seq: 900, missing: missing).reached == at(1, 200))
        #expect(Mark(boot: 1, seq: 900, missing: Array(missing.dropLast())).reached == at(1, 900))
    }

    @Test(arguments: [
        #"{"boot": -1, "seq": 1}"#, #"{"boot": 1}"#, #"{"boot": 9223372036854775807, "seq": 1}"#, "[]",
        #"{"boot": 1.5, "seq": 1}"#, "", #"{"boot": 1, "seq": 1, "missing": [[1, 3, 2]]}"#,
        #"{"boot": 1, "seq": 1, "missing": [[1, 3]]}"#, #"{"boot": 1, "seq": 1, "missing": 7}"#,
        #"{"boot": 1, "seq": 1, "missing": [[1, -3, 2]]}"#,
    ])
    func refusesAMarkThatCannotBe(text: String) throws {
        #expect(throws: (any Error).self) { try Mark(Array(text.utf8), with: parser) }
    }
}
