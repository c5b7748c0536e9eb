import SimdJSON
import Testing

@testable import HubModel

private let good: JSONObject = ["name": "x", "entry": "main.x", "start": ["x", "{ENTRY}"]]

private func runtime(_ change: (inout JSONObject) -> Void = { _ in }) throws -> Runtime {
    var object = good
    change(&object)
    return try Runtime(DocumentReader(.object(object)))
}

@Test func aRuntimeIsDeclared() throws {
    let runtime = try runtime {
        $0["files"] = ["a.conf"]
        $0["requirements"] = "requirements.txt"
        $0["needs"] = [
            ["program": "x", "install": "apt install x"], ["command": ["x", "-v"], "name": "y", "install": "z"],
        ]
        $0["prepare"] = [["command": ["x", "{APP}", "{STATE}"], "file": "a.json"]]
        $0["start"] = ["{PYTHON}", "{ENTRY}"]
    }
    #expect(runtime.usesPython)
    #expect(try Runtime(DocumentReader(runtime.json)) == runtime)
    #expect(try !HubModelTests.runtime().usesPython)
}

private let wrong: [(String, JSON, String)] = [
    ("name", "a b", "name: 'a b' is no id"), ("entry", "../x", "entry: '../x' is no path inside the app"),
    ("entry", nil, "'entry' is missing"), ("start", [], "start: a command has at least one word"),
    ("start", "x", "start: expected a list"), ("files", ["/x"], "files[0]: '/x' is no path inside the app"),
    ("requirements", "r.txt", "'requirements' are for a command with {PYTHON}"),
    ("needs", [["program": "x"]], "needs[0]: 'install' is missing"),
    ("needs", [["install": "x"]], "needs[0]: has either a 'program' or a 'command'"),
    ("needs", [["command": ["x"], "install": "x"]], "needs[0]: 'name' is missing"),
    ("prepare", [["comand": ["x"]]], "prepare[0]: unknown key 'comand' (did you mean 'command'?)"),
    ("begin", ["x"], "unknown key 'begin'"),
    ("start", ["x", "-f={ENTYR}"], "start[1]: '{ENTYR}' is no placeholder (did you mean '{ENTRY}'?)"),
    ("start", ["{app}/x"], "start[0]: '{app}' is no placeholder (did you mean '{APP}'?)"),
    ("prepare", [["command": ["x", "{STAT}"]]], "prepare[0].command[1]: '{STAT}' is no placeholder"),
]

@Test(arguments: wrong)
func aWrongRuntime(key: String, value: JSON, reason: String) {
    let error = #expect(throws: ValidationError.self) { try runtime { $0[key] = value } }
    #expect(error?.description.hasPrefix(reason) == true, "\(String(describing: error))")
}

@Test(arguments: ["{OTHER}", "{print $1}", "{}", "{", "}{", "${ENTYR}", "a{ENTRY"])
func bracesMayBeTheCommandsOwn(word: String) throws {
    #expect(try runtime { $0["start"] = ["x", .string(word)] }.start == ["x", word])
}

@Test func placeholdersAreFilledOnce() {
    #expect(
        Runtime.fill(
            ["{ENTRY}", "-x{APP}", "{OTHER}", "{", "}{", "a{STATE}b"], [.entry: "{APP}", .app: "/a", .state: "{ENTRY}"])
            == ["{APP}", "-x/a", "{OTHER}", "{", "}{", "a{ENTRY}b"])
}

@Test func aRequirementsFile() throws {
    #expect(
        try Requirement.file("# all\nnumpy == 2.0.0 # new\n\n paho-mqtt>=2,<3\r\n", name: "r.txt")
            == ["numpy==2.0.0", "paho-mqtt>=2,<3"])
    for line in ["-r x", "--index-url=http://x", "./x", "git+https://x", "x @ file:///x", "x; python_version<'3'"] {
        let error = #expect(throws: ValidationError.self) { try Requirement.file("a\n\(line)", name: "r.txt") }
        #expect(error?.path == "r.txt: line 2")
    }
}

@Test func whetherAnAppOfADeviceRuns() {
    func run(_ request: Int64, _ isWanted: Bool, boot: Bool) -> DeviceAppRun {
        DeviceAppRun(name: "x", request: request, isWanted: isWanted, startsOnBoot: boot)
    }
    for boot in [false, true] {
        let installed = DeviceAppStart(run(0, false, boot: boot), boot: "1", before: nil)
        #expect(!installed.runs, "not before it is asked for")
        #expect(!DeviceAppStart(run(0, false, boot: boot), boot: "1", before: installed).runs)
        let started = DeviceAppStart(run(1, true, boot: boot), boot: "1", before: installed)
        #expect(started.runs)
        #expect(DeviceAppStart(run(1, true, boot: boot), boot: "1", before: started).runs, "also under another agent")
        let rebooted = DeviceAppStart(run(1, true, boot: boot), boot: "2", before: started)
        #expect(rebooted.runs == boot)
        #expect(DeviceAppStart(run(1, true, boot: boot), boot: "2", before: rebooted).runs == boot)
        #expect(DeviceAppStart(run(2, true, boot: boot), boot: "2", before: rebooted).runs, "asked for again")
        let stopped = DeviceAppStart(run(2, false, boot: boot), boot: "2", before: rebooted)
        #expect(!stopped.runs)
        #expect(DeviceAppStart(run(2, false, boot: boot), boot: "3", before: stopped).runs == boot)
    }
}

@Test func aDeviceAppsWorkGoesThroughJSON() throws {
    let work = AppWork(
        app: Identifier("a")!, sha256: "0", script: "x", runtime: try runtime(), requirements: ["b==1"],
        arguments: ["c"],
        device: DeviceAppRun(
            name: "A", request: 3, isWanted: true, startsOnBoot: true, notBefore: 5, niceness: 7, retries: true,
            maximumRetries: 2, parameters: ["d": 1], publishes: .init(events: false, logs: true, statistics: false)))
    var object: JSONObject = [:]
    work.write(into: &object)
    #expect(try AppWork(DocumentReader(.object(object))) == work)
}
