import HubModel
import MQTT
import SimdJSON
import Testing
import Watch

@testable import Agent

private let program = ProgramID(.algorithm, Identifier("loud-pi-1")!)

private func plan(_ app: Bool = true, publishes: DeviceAppRun.Publishing = .init()) throws -> Plan {
    let settings: JSON = [
        "announcements": [
            ["on": "started", "topic": "say", "payload": "{APP_NAME} on {DEVICE_ID}, page in {UI_DIR}"],
            ["on": "stopped", "topic": "say", "payload": "{APP_ID} is gone"],
        ]
    ]
    let work = AppWork(
        app: Identifier("loud")!, sha256: String(repeating: "a", count: 64), script: "app",
        runtime: try Runtime(DocumentReader(["name": "x", "entry": "app", "start": ["{ENTRY}"]])), requirements: [],
        arguments: [], device: DeviceAppRun(name: "Loud", request: 1, isWanted: true, publishes: publishes))
    let planned = PlannedProgram(program: program, credential: nil, work: .app(work))
    let json: JSON = [
        "kind": "plan", "programs": app ? [planned.json] : [],
        "devices": try DeviceSettings(DocumentReader(settings)).json,
    ]
    return try Plan(parsing: json.bytes())
}

private func report(_ state: ProgramState, run: Int64 = 1, pid: Int32? = nil) -> ProgramReport {
    ProgramReport(program: program, state: state, reason: "so", pid: pid, time: 5_000_000, run: run)
}

private func publisher() -> DevicePublisher {
    DevicePublisher(node: Identifier("pi")!, folders: AgentFolders(root: "/nonexistent"))
}

private let base = "thing/pi/app_manager"

@Test func eachRunIsToldOnce() throws {
    let device = publisher()
    func topics(_ report: ProgramReport) -> [String] { device.messages(for: report).map(\.topic) }
    #expect(topics(report(.running, pid: 4)).isEmpty, "not in a plan")
    _ = device.follow(try plan())
    #expect(topics(report(.stopped)).isEmpty)
    #expect(topics(report(.starting)).isEmpty, "without a process")
    let started = device.messages(for: report(.starting, pid: 4))
    #expect(started.map(\.topic) == ["say", "\(base)/app/loud/started"])
    #expect(
        String(decoding: started[0].payload, as: UTF8.self)
            == "Loud on pi, page in /nonexistent/apps/loud-aaaaaaaaaaaa/ui")
    #expect(
        try JSON(parsing: started[1].payload) == ["app_id": "loud", "timestamp": 5_000, "run": 1, "pid": 4])
    #expect(topics(report(.running, pid: 4)).isEmpty)
    #expect(topics(report(.backoff)) == ["say", "\(base)/app/loud/stopped"])
    #expect(topics(report(.starting, run: 2, pid: 5)) == ["say", "\(base)/app/loud/started"])
    // It is deleted while it runs.
    _ = device.follow(try plan(false))
    #expect(topics(report(.stopping, run: 2, pid: 5)).isEmpty)
    #expect(topics(report(.stopped, run: 2)) == ["say", "\(base)/app/loud/stopped"])
    #expect(topics(report(.starting, run: 3, pid: 6)).isEmpty)
}

@Test func whatIsSwitchedOffIsNotTold() throws {
    let lines = [OutputLine(time: 7_123_456, stream: .stdout, text: "word")]
    let loud = publisher(), quiet = publisher()
    _ = loud.follow(try plan())
    _ = quiet.follow(try plan(publishes: .init(events: false, logs: false, statistics: false)))
    let message = try #require(loud.messages(for: lines, of: program).first)
    #expect(message.topic == "\(base)/app/loud/logs")
    #expect(try JSON(parsing: message.payload) == ["timestamp": 7_123, "log_msg": "word"])
    #expect(quiet.messages(for: lines, of: program).isEmpty)
    #expect(loud.messages(for: lines, of: ProgramID(.driver, Identifier("loud-pi-1")!)).isEmpty)
    #expect(quiet.messages(for: report(.starting, pid: 4)).map(\.topic) == ["say"], "announcements are apart")
}

@Test func theConnectionIsToldWhenItsTopicIsKnown() throws {
    let device = publisher()
    #expect(device.connected().isEmpty)
    #expect(device.follow(try plan()).map(\.topic) == ["\(base)/connected"])
    #expect(device.follow(try plan()).isEmpty)
    #expect(device.connected().map(\.topic) == ["\(base)/connected"])
}
