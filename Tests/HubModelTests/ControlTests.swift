import HubModel
import SimdJSON
import Testing

@Suite struct ControlTests {
    private let functions = [
        ControlFunction(name: "set", parameters: [Field(name: "on", type: .bool), Field(name: "level", type: .float)]),
        ControlFunction(name: "reset", parameters: []),
    ]

    @Test(arguments: [
        (#"{"id": "1", "function": "set", "params": {"on": true, "level": 3}}"#, "nothing"),
        (#"{"id": "1", "function": "reset"}"#, "nothing"),
        (
            #"{"id": "1", "function": "st", "params": {}}"#,
            "function: 'st' is no function of this sensor: it has set, reset (did you mean 'set'?)"
        ),
        (#"{"id": "1", "function": "set", "params": {"on": true}}"#, "params: 'level' (float) is missing"),
        (
            #"{"id": "1", "function": "set", "params": {"on": 1, "level": 1}}"#,
            "params.on: expected true or false, found a whole number"
        ),
        (
            #"{"id": "1", "function": "set", "params": {"on": true, "level": 1, "levle": 1}}"#,
            "params: 'levle' is no parameter of 'set' (did you mean 'level'?)"
        ),
        (#"{"function": "set"}"#, "'id' is missing"),
        (#"{"id": 7, "function": "set"}"#, "id: expected text, found a whole number"),
    ])
    func aCallMustFitTheSensor(_ text: String, _ expected: String) throws {
        #expect(try fault(text) { try ControlCall($0).check(against: functions) } == expected)
    }
}

@Suite struct NameTests {
    @Test func usersHaveADotButSensors() {
        let id = Identifier("x-1")!
        for user in [BrokerUser.hub(id), .node(id), .algorithm(id), .person(id)] {
            #expect(user.description.contains("."))
            #expect(BrokerUser(user.description) == user)
        }
        #expect(BrokerUser("x-1") == .sensor(id))
        #expect(BrokerUser("other.x") == nil)
        #expect(BrokerUser("a:b") == nil)
        #expect(Identifier("a.b") == nil)
        #expect(Identifier(String(repeating: "a", count: 65)) == nil)
        #expect(Identifier("+") == nil)
        #expect(Identifier("") == nil)
    }

    @Test(arguments: [("gps-senser", "gps-sensor"), ("teh", "the"), ("LUX", "lux")])
    func slipsAreRecognised(_ written: String, _ meant: String) {
        #expect(didYouMean(written, among: ["zebra", meant]) == " (did you mean '\(meant)'?)")
    }

    @Test func farOffWordsAreNot() {
        #expect(didYouMean("temperature", among: ["gps", "lux"]) == "")
    }

    @Test(arguments: ["/etc/passwd", "../x", "a/../../b", "a\\b", "", "a\u{1}b"])
    func pathsThatLeadOutAreRefused(_ path: String) {
        #expect(!ArchivePath.isSafe(path))
    }
}
