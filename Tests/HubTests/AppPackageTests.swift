import HubModel
import SimdJSON
import Testing

@testable import Hub

private func file(_ text: String, _ name: String) throws -> AppConfigurationFile {
    try AppConfigurationFile(parsing: Array(text.utf8), name: name)
}

private func parameters(_ text: String) throws -> InitParameters { try InitParameters(file(text, "init.conf")) }

private let conf = """
    params:
      - {name: s, type: string, value: 10}
      - {name: f, type: float, value: 1}
      - {name: i, type: int, placeholder: a number}
      - {name: a, type: array, value: [1, "1", x]}
    """

@Test func valuesOfInitConf() throws {
    let parameters = try parameters(conf)
    let given = try parameters.values(["i": 3, "f": 2, "a": []], path: "app_args")
    #expect(given == ["s": "10", "f": 2.0, "i": 3, "a": []])
    #expect(try parameters.values(["i": 3], path: "app_args")["a"] == [1, "1", "x"])
    #expect(InitParameters(json: parameters.json) == parameters)
    let none = try InitParameters(file("", "init.conf"))
    #expect(try none.values([:], path: "app_args").isEmpty)
}

private let wrongValues: [(JSONObject, String)] = [
    ([:], "app_args: 'i' (int) is missing, and init.conf has no value for it"),
    (["i": nil], "app_args: 'i' (int) is missing"),
    (["i": 1.0], "app_args.i: expected a whole number, found a number"),
    (["i": 1, "s": 1], "app_args.s: expected text, found a whole number"),
    (["i": 1, "f": "1"], "app_args.f: expected a number, found text"),
    (["i": 1, "a": ["x": 1]], "app_args.a: expected a list, found an object"),
    (["i": 1, "j": 1], "app_args: 'j' is no parameter of init.conf (did you mean "),
    (["i": 1, "s": .string(String(repeating: "x", count: 70_000))], "app_args: the parameters are longer than 64 KiB"),
]

@Test(arguments: wrongValues)
func wrongValuesOfInitConf(given: JSONObject, reason: String) throws {
    let parameters = try parameters(conf)
    let error = #expect(throws: ValidationError.self) { try parameters.values(given, path: "app_args") }
    #expect(error?.description.hasPrefix(reason) == true, "\(String(describing: error))")
}

@Test func rulesOfExecConf() throws {
    let rules = try ExecutionRules(
        file(
            "priority: 5\nexecution_timestamp: 1763677055.5\nretry: yes\nmax_retries: 4\nstart_on_boot: 1\npublish_logs: off",
            "exec.conf"))
    #expect(rules.priority == 5 && rules.executionTime == 1_763_677_055_500_000 && rules.retry)
    #expect(rules.maximumRetries == 4 && rules.startsOnBoot && !rules.publishes.logs && rules.publishes.events)
    #expect(try ExecutionRules(json: DocumentReader(JSON(parsing: rules.json.text()))) == rules)
    let held = try ExecutionRules(file("limits: {memory: 64M, files: 99}\nisolation: no\n", "exec.conf"))
    #expect(held.conditions == RunConditions(limits: Limits(memory: 64 << 20, files: 99), isolation: false))
    #expect(try ExecutionRules(json: DocumentReader(held.json)) == held)
    // The example that the old program comes with.
    let old = try ExecutionRules(file("priority: 1\nexecution_timestamp: -1\nretry: 0\nmax_retries: 0\n", "exec.conf"))
    #expect(old.priority == 1 && old.executionTime == nil && !old.retry && !old.startsOnBoot)
    #expect(try ExecutionRules(file("", "exec.conf")) == ExecutionRules())
    #expect(try ExecutionRules(json: DocumentReader(ExecutionRules().json)) == ExecutionRules())
}

@Test(arguments: [
    ("priority: -21", "exec.conf: priority: must be from -20 to 19, is -21"),
    ("execution_timestamp: -2", "exec.conf: execution_timestamp: must be -1 for at once"),
    ("execution_timestamp: soon", "exec.conf: execution_timestamp: expected a number, found 'soon'"),
    ("max_retries: -1", "exec.conf: max_retries: must be from 0"), ("start_on_boot: maybe", "expected true or false"),
    ("prority: 1", "exec.conf: unknown key 'prority' (did you mean 'priority'?)"),
    ("- 1", "expected 'key: value' lines"),
    ("limits: {memory: lots}", "exec.conf.limits.memory: 'lots' is no amount of memory"),
    ("limits: 64M", "exec.conf.limits: expected an object"), ("isolation: perhaps", "expected true or false"),
])
func wrongRulesOfExecConf(text: String, reason: String) {
    let error = #expect(throws: ValidationError.self) { try ExecutionRules(file(text, "exec.conf")) }
    #expect(error?.description.contains(reason) == true, "\(String(describing: error))")
}

@Test func argumentsAreWordsOrValues() throws {
    #expect(try AppArguments(DocumentReader(["-l", 1, 2.5, true])).words == ["-l", "1", "2.5", "true"])
    #expect(try AppArguments(DocumentReader(["a": 1])).parameters == ["a": 1])
    for wrong: JSON in ["text", 1, [["nested"]], [nil], .array(.init(repeating: "x", count: 300))] {
        #expect(throws: ValidationError.self) { try AppArguments(DocumentReader(wrong)) }
    }
    for arguments in [try AppArguments(DocumentReader(["a", "b"])), try AppArguments(DocumentReader(["a": 1]))] {
        #expect(try AppArguments(DocumentReader(arguments.json)) == arguments)
    }
}

@Test func whoWaitsForAStart() throws {
    let package = try AppPackage(
        json: DocumentReader([
            "type": "py3", "info": [:], "init_params": [], "scheduling": ExecutionRules().json, "requirements": [],
            "page": [],
        ]))
    let app = DeviceApp(
        node: Identifier("pi")!, id: Identifier("a")!, instance: Identifier("a-pi-1")!, package: package,
        arguments: AppArguments(), request: 1, isWanted: true, isPassing: false, createdAt: 0, updatedAt: 0)
    func outcome(
        _ state: ProgramState?, start: Bool, reachable: Bool = true, scheduled: Bool = false, latest: Bool = true,
        after: Duration = .zero
    ) -> AwaitedStart.Outcome? {
        let awaited = AwaitedStart(app, isStart: start)
        return awaited.outcome(
            state, isReachable: reachable, isScheduled: scheduled, isLatest: latest, now: .now + after)
    }
    for state: ProgramState? in [nil, .stopped, .starting, .unknown] { #expect(outcome(state, start: true) == nil) }
    for state in [ProgramState.running, .exited] { #expect(outcome(state, start: true) == .done) }
    for state in [ProgramState.fatal, .backoff] { #expect(outcome(state, start: true) == .failed) }
    #expect(outcome(.stopped, start: false) == .done)
    // What has ended by itself is told to be STOPPED as well.
    for state: ProgramState? in [nil, .running, .stopping, .exited, .fatal] {
        #expect(outcome(state, start: false) == nil)
    }
    #expect(outcome(.starting, start: true, reachable: false) == .underway)
    #expect(outcome(.starting, start: true, scheduled: true) == .underway)
    #expect(outcome(.running, start: true, latest: false) == .underway)
    #expect(outcome(.starting, start: true, after: AwaitedStart.patience + .seconds(1)) == .underway)
}
