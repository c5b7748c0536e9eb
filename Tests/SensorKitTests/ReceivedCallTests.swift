import Testing

@testable import SensorKit

@Suite struct ReceivedCallTests {
    @Test func readsACall() {
        let call = ReceivedCall(
            Array(#"{"id": "a", "function": "set", "params": {"on": true}}"#.utf8), isRetained: false)
        #expect(call == .call(ControlCall(id: "a", function: "set", parameters: ["on": true])))
    }

    @Test(arguments: [
        #"{"id": "a"}"#, #"{"id": "a", "function": 1}"#, #"{"id": "a", "function": "set", "params": []}"#,
        #"{"id": "a", "function": "set", "parms": {}}"#,
    ])
    func refusesWhatIsNoCallButHasAnID(text: String) {
        guard case .refused("a", _) = ReceivedCall(Array(text.utf8), isRetained: false) else {
            Issue.record("was taken for something else")
            return
        }
    }

    @Test(arguments: ["nonsense", "[]", "7", "{}", #"{"id": "", "function": "set"}"#, #"{"id": 7, "function": "set"}"#])
    func cannotReplyWithoutAnID(text: String) {
        guard case .unreadable = ReceivedCall(Array(text.utf8), isRetained: false) else {
            Issue.record("was taken for something else")
            return
        }
    }

    @Test func refusesARetainedCall() {
        let call = ReceivedCall(Array(#"{"id": "a", "function": "set"}"#.utf8), isRetained: true)
        #expect(call == .refused(id: "a", reason: "a retained message is no call"))
        #expect(ReceivedCall([], isRetained: false) == .nothing)
    }
}
