import HubModel
import Testing

@testable import Hub

@Test func theLastThousandRepliesAreHeld() {
    func key(_ number: Int, of asker: Identifier? = nil) -> RequestKey {
        RequestKey(asker: asker, name: Identifier("request-\(number)")!)
    }
    var held = HeldReplies()
    #expect(held[key(0)] == nil)
    for number in 0..<1_500 {
        held.add(key(number), Reply(["number": .int(Int64(number))]))
        // Told again, it is no other one.
        held.add(key(number), Reply(["number": .int(Int64(number))]))
    }
    #expect((0..<1_500).filter { held[key($0)] != nil } == Array(500..<1_500))
    #expect(held[key(700)]?.body["number"] == 700)
    #expect(held[key(700, of: Identifier("a-1"))] == nil, "what another one calls so is another one's")
}
