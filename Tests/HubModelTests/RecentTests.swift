import HubModel
import Testing

@Test func theNewestAreKept() {
    var recent = Recent<Int, String>(capacity: 1_000)
    #expect(recent[0] == nil)
    for number in 0..<1_500 {
        recent.add(number, "")
        // Told again, it is no other one.
        recent.add(number, "\(number)")
    }
    #expect((0..<1_500).filter { recent[$0] != nil } == Array(500..<1_500))
    #expect(recent[700] == "700")
}
