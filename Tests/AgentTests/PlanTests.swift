import HubModel
import SimdJSON
import Testing

@testable import Agent

private let sha = String(repeating: "a", count: 64)
private let driver = #"""
    {"id": "lux-1", "program": "driver", "credential": null, "driver": "system",
     "type": {"name": "lux", "company": "", "fields": {"lux": "float"}, "functions": []},
     "instance": {"name": "lux-1", "type": "lux", "driver": "system", "node": null, "interval": null, "attributes": {}}}
    """#
private func algorithm(_ change: (inout JSONObject) -> Void = { _ in }) -> String {
    var object: JSONObject = [
        "id": "light-1", "program": "algorithm", "credential": nil, "app": "bus", "sha256": .string(sha),
        "script": "main.py", "requirements": ["numpy==2.0.0"], "arguments": ["light-1"],
        "runtime": ["name": "py3", "entry": "app.py", "start": ["{PYTHON}", "{ENTRY}"]],
    ]
    change(&object)
    return JSON.object(object).text()
}

private func plan(_ entries: String...) throws -> Plan {
    try Plan(parsing: Array(#"{"kind": "plan", "programs": [\#(entries.joined(separator: ","))]}"#.utf8))
}

@Test func aPlanIsRead() throws {
    let plan = try plan(driver, algorithm())
    #expect(plan.programs.map { "\($0.program)" } == ["driver-lux-1", "algorithm-light-1"])
    #expect(plan.refused.isEmpty)
    #expect(plan.unreadable.isEmpty)
}

@Test(arguments: ["", "null", "[]", "{}", #"{"kind": "stop"}"#, #"{"kind": "plan", "programs": {}}"#, "\u{FF}"])
func whatIsNoPlan(text: String) {
    #expect(throws: (any Error).self) { try Plan(parsing: Array(text.utf8)) }
}

@Test func aBadEntryDoesNotSpoilTheOthers() throws {
    let plan = try plan(
        "3", #"{"id": "../../etc", "program": "driver"}"#, #"{"id": "x", "program": "service"}"#,
        #"{"id": "x", "program": "driver", "driver": "system"}"#, driver, driver)
    #expect(plan.programs.count == 1)
    #expect(plan.unreadable.count == 4)
    #expect(plan.unreadable.last == "programs[5]: driver-lux-1 stands in the plan twice")
    #expect(plan.refused.count == 1)
    #expect(plan.refused.first?.1 == "the hub's plan for it is not valid: programs[3]: 'type' is missing")
}

private let hostile: [(String, JSON)] = [
    ("sha256", .string("abc")), ("sha256", .string("../" + sha.dropLast(3))),
    ("sha256", .string(String(repeating: "g", count: 64))), ("script", .string("../../bin/sh")),
    ("script", .string("/bin/sh")), ("runtime", .string("perl")), ("runtime", nil), ("arguments", nil),
    ("app", .string("a/b")),
    ("requirements", .array([.string("--index-url=http://example.com")])),
    ("requirements", .array([.string("-r/etc/passwd")])), ("requirements", .array([.string("./folder")])),
    ("requirements", .array([.string("x @ file:///tmp/x")])), ("requirements", .array([.string("")])),
    ("requirements", .array([.string("a b")])), ("requirements", .array([.string("x;os_name=='a'")])),
    ("requirements", .string("numpy")),
]

@Test(arguments: hostile)
func hostileAlgorithms(key: String, value: JSON) throws {
    let plan = try plan(algorithm { $0[key] = value })
    #expect(plan.programs.isEmpty)
    #expect(plan.refused.count == 1)
}

@Test(arguments: ["numpy", "numpy==2.0.0", "uvicorn[standard]>=0.3,<1", "paho-mqtt~=2.0", "a.b_c!=1.*"])
func requirementsThatAreTaken(requirement: String) throws {
    #expect(try plan(algorithm { $0["requirements"] = [.string(requirement)] }).programs.count == 1)
}

@Test func aDriverIsForItsOwnInstance() throws {
    let plan = try plan(driver.replacing(#""name": "lux-1""#, with: #""name": "lux-2""#))
    #expect(
        plan.refused.first?.1 == "the hub's plan for it is not valid: programs[0]: instance: its name is not 'lux-1'")
}

@Test func whatTheHubSaysCannotRunIsRefusedWithItsReason() throws {
    let plan = try plan(
        #"{"id": "light-1", "program": "algorithm", "error": "the runtime 'lua' is not declared at the hub any more"}"#)
    #expect(plan.refused.map(\.1) == ["the runtime 'lua' is not declared at the hub any more"])
    #expect(plan.devices == nil)
}
