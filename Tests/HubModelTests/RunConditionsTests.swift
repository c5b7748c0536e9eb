import HubModel
import SimdJSON
import Testing

@Suite struct RunConditionsTests {
    private func conditions(_ text: String) throws -> RunConditions {
        try RunConditions(DocumentReader(try JSON(parsing: Array(text.utf8))))
    }

    @Test func whatIsNotSaidIsAsUsual() throws {
        let usual = try conditions("{}")
        #expect(usual == .usual && usual.members.isEmpty && usual.supervision.autostart)
    }

    @Test(arguments: [
        #"{"limits": {"memory": 67108864}, "isolation": false}"#,
        #"""
        {"supervision": {"autostart": false, "autorestart": true, "exitcodes": [0, 2], "startsecs": 0,
         "startretries": "unlimited", "stopsignal": "INT", "stopwaitsecs": 3600, "backoffsecs": 5}}
        """#,
        #"{"supervision": {"autostart": true, "autorestart": false, "startretries": 0, "exitcodes": []}}"#,
        #"{"supervision": {"autostart": true, "autorestart": "unexpected"}}"#,
    ])
    func whatIsReadIsWritten(text: String) throws {
        let read = try conditions(text)
        #expect(read != .usual)
        #expect(try RunConditions(DocumentReader(.object(read.members))) == read)
    }

    @Test func theWordsMeanWhatSupervisorSays() throws {
        let rules = try conditions(
            #"{"supervision": {"autorestart": true, "startretries": 3, "stopsignal": "sigusr1", "exitcodes": [7]}}"#
        ).supervision
        #expect(rules.autorestart == .always && rules.startretries == .number(3))
        #expect(rules.stopsignal?.number == 10 && rules.exitcodes == [7] && rules.startsecs == nil)
    }

    @Test(arguments: [
        (
            #"{"supervision": {"autorestart": "always"}}"#,
            #"supervision.autorestart: expected true, false or "unexpected""#
        ),
        (
            #"{"supervision": {"startretries": "forever"}}"#,
            #"supervision.startretries: expected a number or "unlimited""#
        ),
        (#"{"supervision": {"startretries": -1}}"#, "supervision.startretries: must be from 0 to 1000000, is -1"),
        (
            #"{"supervision": {"stopsignal": "TREM"}}"#,
            "supervision.stopsignal: 'TREM' is no signal (did you mean 'TERM'?)"
        ),
        (#"{"supervision": {"exitcodes": [256]}}"#, "supervision.exitcodes[0]: must be from 0 to 255, is 256"),
        (#"{"supervision": {"startsec": 1}}"#, "supervision: unknown key 'startsec' (did you mean 'startsecs'?)"),
        (#"{"supervision": {"backoffsecs": 0}}"#, "supervision.backoffsecs: must be from 1 to 3600, is 0"),
        (#"{"isolation": "yes"}"#, "isolation: expected true or false, found text"),
    ])
    func whatIsWrongIsNamed(text: String, error: String) throws {
        let found = #expect(throws: ValidationError.self) { try conditions(text) }
        #expect(found.map { "\($0)" } == error)
    }
}
