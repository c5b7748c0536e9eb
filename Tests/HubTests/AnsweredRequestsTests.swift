import HubModel
import Testing

@testable import Hub

@Test func theLastThousandRepliesAreKnown() {
    func id(_ number: Int) -> Identifier { Identifier("request-\(number)")! }
    var answered = AnsweredRequests()
    #expect(answered[id(0)] == nil)
    for number in 0..<1_500 {
        answered.add(id(number), Reply(["number": .int(Int64(number))]))
        // Told again, it is no other one.
        answered.add(id(number), Reply(["number": .int(Int64(number))]))
    }
    #expect((0..<1_500).filter { answered[id($0)] != nil } == Array(500..<1_500))
    #expect(answered[id(700)]?.body["number"] == 700)
}
