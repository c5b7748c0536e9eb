import Credentials
import Files
import Glibc
import HubModel
import MQTT
import SimdJSON
import Testing

@testable import Agent
@testable import Watch

@Test func aDriverFromPlanToEnd() async throws {
    try await Bench.run { bench in
        try bench.setDriver(#"env | sort; cat "$SENSORHUB_CONFIG"; echo; echo done; exec sleep 1000"#)
        bench.startAgent()
        let status = bench.topics.node("here", .status)
        try await bench.wait("the birth") { $0.payloads(on: status).first?["status"]?.string == "online" }
        #expect(bench.payloads(on: status).first?["version"]?.string == "1.2.3")
        try await bench.wait("the snapshot") { $0.reports("snapshot").first?["programs"]?.array?.isEmpty == true }

        try await bench.send(plan: [Bench.driver("lux-1", attributes: ["bus": 3])])
        let hash = try await bench.credential(of: "driver-lux-1")
        #expect(Credential.isHash(hash))
        try await bench.wait("waiting") { $0.states(of: "lux-1") == ["STARTING"] }
        try await bench.send(plan: [Bench.driver("lux-1", credential: hash, attributes: ["bus": 3])])
        try await bench.wait("running") { $0.states(of: "lux-1") == ["STARTING", "STARTING", "RUNNING"] }
        let running = try #require(bench.last(of: "lux-1"))
        #expect(running["run"]?.int == 1)
        let pid = try #require(running["pid"]?.int)
        #expect(try ProgramReport(DocumentReader(running)).reason == "up for 1 s")
        try await bench.wait("the event") {
            $0.payloads(on: $0.topics.sensor("lux-1", .events)).last?["state"]?.string == "RUNNING"
        }

        try await bench.wait("the output") { $0.lines(on: $0.topics.sensor("lux-1", .log)).last == "done" }
        let lines = bench.lines(on: bench.topics.sensor("lux-1", .log))
        let home = "\(bench.data)/programs/driver-lux-1"
        for line in [
            "SENSORHUB_HUB=main", "SENSORHUB_BROKER=mqtt://127.0.0.1:\(bench.broker.port)",
            "SENSORHUB_USER=lux-1",
            "SENSORHUB_CONFIG=\(home)/config.json", "SENSORHUB_STATE=\(home)/state", "HOME=\(home)/state",
            "LANG=C.UTF-8",
        ] {
            #expect(lines.contains(line))
        }
        let password = try #require(lines.first { $0.hasPrefix("SENSORHUB_PASSWORD=") }).dropFirst(19)
        #expect(Credential.matches(String(password), hash))
        let configuration = try JSON(parsing: File.bytes(of: "\(home)/config.json"))
        #expect(configuration["driver"] == "system")
        #expect(configuration["instance"]?["attributes"]?["bus"] == 3)
        for path in ["\(home)/config.json", "\(bench.data)/secrets/driver-lux-1", "\(bench.data)/plan.json"] {
            var information = stat()
            #expect(stat(path, &information) == 0)
            #expect(information.st_mode & 0o777 == 0o600)
        }

        // The same plan again, in other words, changes nothing.
        try await bench.send(plan: [Bench.driver("lux-1", credential: hash, attributes: ["bus": 3]), 7])
        try await bench.publish(bench.topics.hubStatus, Array(#"{"status": "online"}"#.utf8))
        try await bench.wait("another snapshot") { $0.reports("snapshot").count == 2 }
        let snapshot = try #require(bench.reports("snapshot").last?["programs"]?.array)
        #expect(snapshot.map { $0["pid"]?.int } == [pid])

        // Other work: a new run.
        try await bench.send(plan: [Bench.driver("lux-1", credential: hash, attributes: ["bus": 4])])
        try await bench.wait("the next run") {
            $0.last(of: "lux-1")?["run"]?.int == 2 && $0.states(of: "lux-1").last == "RUNNING"
        }
        #expect(bench.states(of: "lux-1").suffix(4) == ["STOPPING", "STOPPED", "STARTING", "RUNNING"])
        #expect(bench.credentials(of: "driver-lux-1").count == 1)

        try await bench.send(plan: [])
        try await bench.wait("the end") { $0.states(of: "lux-1").last == "STOPPED" }
        #expect(bench.last(of: "lux-1")?["reason"]?.string == "asked to stop: it is not to run on this node any more")
        #expect(bench.last(of: "lux-1")?["signal"]?.int == 15)
        #expect(isGone(Int32(pid)))
        try await bench.wait("the end of its password") { _ in access("\(bench.data)/secrets/driver-lux-1", F_OK) != 0 }
        await bench.stopAgent()
        try await bench.wait("the farewell") { $0.payloads(on: status).last?["status"]?.string == "offline" }
    }
}

@Test func aBadEntryIsFatalAndTheOthersRun() async throws {
    try await Bench.run { bench in
        try bench.setDriver("exec sleep 1000")
        bench.startAgent()
        var bad = try #require(Bench.driver("bad").object)
        bad["type"] = nil
        try await bench.wait("the snapshot") { !$0.reports("snapshot").isEmpty }
        try await bench.publish(bench.topics.node("here", .command), Array("no json".utf8))
        try await bench.publish(bench.topics.node("here", .command), [])
        try await bench.send(plan: [.object(bad), "?", Bench.driver("good")])
        let hash = try await bench.credential(of: "driver-good")
        try await bench.send(plan: [.object(bad), "?", Bench.driver("good", credential: hash)])
        try await bench.wait("running") { $0.states(of: "good").last == "RUNNING" }
        #expect(bench.states(of: "bad") == ["FATAL"])
        #expect(
            bench.last(of: "bad")?["reason"]?.string
                == "the hub's plan for it is not valid: programs[0]: 'type' is missing")

        // What was good and is bad now is not run any more.
        bad["id"] = "good"
        try await bench.send(plan: [.object(bad)])
        try await bench.wait("refused") { $0.states(of: "good").last == "FATAL" }
        #expect(bench.states(of: "good").suffix(3) == ["STOPPING", "STOPPED", "FATAL"])
        try await bench.send(plan: [Bench.driver("good", credential: hash)])
        try await bench.wait("running again") { $0.states(of: "good").last == "RUNNING" }
    }
}

@Test func aConfigurationErrorIsFatal() async throws {
    try await Bench.run { bench in
        try bench.setDriver("echo 'attributes.bus: is missing' >&2; exit 78")
        try await bench.run("lux-1")
        try await bench.wait("fatal") { $0.states(of: "lux-1").last == "FATAL" }
        #expect(bench.last(of: "lux-1")?["reason"]?.string == "attributes.bus: is missing")
        #expect(bench.last(of: "lux-1")?["exit_code"]?.int == 78)
    }
}

@Test func aMissingDriverIsNamedAndTriedAgain() async throws {
    try await Bench.run { bench in
        try await bench.run("lux-1")
        try await bench.wait("back-off") { $0.states(of: "lux-1").last == "BACKOFF" }
        let reason = try #require(bench.last(of: "lux-1")?["reason"]?.string)
        #expect(reason.hasPrefix("the program '\(bench.folder)/driver' does not exist; next start in "))
        try bench.setDriver("exec sleep 1000")
        try await bench.wait("running") { $0.states(of: "lux-1").last == "RUNNING" }
    }
}

@Test func theHubIsAskedOncePerSecondUntilItAgrees() async throws {
    try await Bench.run { bench in
        try bench.setDriver("exec sleep 1000")
        bench.startAgent()
        try await bench.wait("the snapshot") { !$0.reports("snapshot").isEmpty }
        let other = Credential.hash(Credential.makePassword())
        let begin = ContinuousClock.now
        for _ in 0..<20 {
            try await bench.send(plan: [Bench.driver("lux-1", credential: other)])
            try await bench.send(plan: [Bench.driver("lux-1")])
            try await Task.sleep(for: .milliseconds(150))
        }
        let hashes = bench.credentials(of: "driver-lux-1")
        let seconds = Int((ContinuousClock.now - begin).components.seconds)
        #expect((1...seconds + 2).contains(hashes.count))
        #expect(Set(hashes).count == 1)
        #expect(bench.states(of: "lux-1") == ["STARTING"])
        let hash = try #require(hashes.first)
        try await bench.send(plan: [Bench.driver("lux-1", credential: hash)])
        try await bench.wait("running") { $0.states(of: "lux-1").last == "RUNNING" }

        // Up as it is, a hub that has forgotten is told again, and the program runs on.
        let pid = bench.last(of: "lux-1")?["pid"]
        try await bench.send(plan: [Bench.driver("lux-1")])
        try await bench.wait("the credential again") { $0.credentials(of: "driver-lux-1").count > hashes.count }
        try await bench.send(plan: [Bench.driver("lux-1", credential: hash)])
        #expect(bench.last(of: "lux-1")?["pid"] == pid)
        #expect(bench.states(of: "lux-1").last == "RUNNING")
    }
}

@Test func programsRunOnWithoutTheBroker() async throws {
    try await Bench.run { bench in
        try bench.setDriver(
            "i=0; while :; do i=$((i+1)); echo $$ $i; echo $i > \(bench.folder)/written; sleep 0.1; done")
        func written() -> Int {
            let text = try? File.text(of: "\(bench.folder)/written", limit: 20)
            return text.flatMap { Int($0.split(separator: "\n").first ?? "") } ?? 0
        }
        try await bench.run("lux-1")
        try await bench.wait("running") { $0.states(of: "lux-1").last == "RUNNING" }
        let pid = try #require(bench.last(of: "lux-1")?["pid"]?.int)
        /// The numbers of the first run's lines.
        func numbers(_ bench: Bench) -> [Int] {
            let words = bench.journaledLines.map { $0.split(separator: " ") }
            return words.filter { $0.first == "\(pid)" }.compactMap { Int($0[1]) }
        }
        try await bench.wait("lines") { numbers($0).count > 5 }
        bench.broker.kill()
        let heard = numbers(bench).count
        try await bench.wait("lines without the broker") { _ in written() >= heard + 5 }
        kill(Int32(pid), SIGKILL)
        try await Task.sleep(for: .seconds(2))
        try bench.broker.start()
        try await bench.wait("the snapshot") {
            $0.reports("snapshot").last?["programs"]?.array?.first?["run"]?.int == 2
        }
        try await bench.wait("the second run") {
            $0.states(of: "lux-1").suffix(3) == ["EXITED", "STARTING", "RUNNING"]
        }
        // Of what came while it was away, and of what died with it, nothing is missing.
        #expect(numbers(bench).count >= heard + 5)
        #expect(numbers(bench) == Array(1...numbers(bench).count))
    }
}

@Test func theLastPlanIsTakenUpWithoutTheHub() async throws {
    try await Bench.run { bench in
        try bench.setDriver("exec sleep 1000")
        try await bench.run("lux-1")
        try await bench.wait("running") { $0.states(of: "lux-1").last == "RUNNING" }
        await bench.stopAgent()
        try await bench.wait("stopped") { $0.states(of: "lux-1").last == "STOPPED" }
        #expect(bench.last(of: "lux-1")?["reason"]?.string == "asked to stop: the agent stops")
        bench.startAgent(planWait: .milliseconds(200))
        try await bench.wait("running again") { $0.states(of: "lux-1").last == "RUNNING" }
        #expect(bench.last(of: "lux-1")?["run"]?.int == 2)
        #expect(bench.credentials(of: "driver-lux-1").count == 1)
    }
}

@Test func whatAKilledAgentLeftRunningIsTakenUp() async throws {
    try await Bench.run { bench in
        try bench.setDriver("i=0; while :; do i=$((i+1)); echo $$ $i; sleep 0.05; done")
        try await bench.run("lux-1")
        try await bench.wait("running") { $0.states(of: "lux-1").last == "RUNNING" }
        await bench.stopAgent()

        // Another process takes up the plan, and is killed while the driver runs.
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [folder = bench.folder as String, port = bench.broker.port as UInt16] in
            let service = Bench.agent(folder: folder, port: port, planWait: .zero)
            Task { try await service.run() }
            let watch = WatchFolder("\(folder)/data/programs/driver-lux-1/watch")
            while watch.liveProcess == nil { try await Task.sleep(for: .milliseconds(10)) }
            kill(getpid(), SIGKILL)
        }
        let watch = WatchFolder("\(bench.data)/programs/driver-lux-1/watch")
        let pid = try #require(watch.liveProcess)
        try await bench.wait("the last will") {
            $0.payloads(on: $0.topics.node("here", .status)).last?["status"]?.string == "offline"
        }
        // It goes on, and is started again, without any agent.
        try await bench.wait("a start that has succeeded") { _ in
            JournalReader(watch.journal).end()?.memory?.status.state == .running
        }
        #expect(watch.liveProcess == pid)
        kill(pid, SIGKILL)
        try await bench.wait("the next run") { _ in watch.liveProcess.map { $0 != pid } ?? false }

        bench.startAgent(planWait: .zero)
        try await bench.wait("running") {
            $0.last(of: "lux-1")?["run"]?.int == 3 && $0.states(of: "lux-1").last == "RUNNING"
        }
        #expect(bench.last(of: "lux-1")?["pid"]?.int == watch.liveProcess.map(Int64.init))
        // Everything that happened meanwhile is told, and once.
        #expect(bench.reports(of: "lux-1").filter { $0.run == 2 }.map(\.state) == [.starting, .running, .exited])
        let numbers = bench.journaledLines.filter { $0.hasPrefix("\(pid) ") }.compactMap {
            Int($0.split(separator: " ")[1])
        }
        #expect(numbers.count > 10)
        #expect(numbers == Array(1...numbers.count))

        // What no plan names any more is ended.
        await bench.stopAgent()
    }
}

extension Bench {
    /// Starts the agent and has it run one driver.
    func run(_ id: String) async throws {
        startAgent()
        try await wait("the snapshot") { !$0.reports("snapshot").isEmpty }
        try await send(plan: [Self.driver(id)])
        let hash = try await credential(of: "driver-\(id)")
        try await send(plan: [Self.driver(id, credential: hash)])
    }
}

/// A zombie is gone: whoever has inherited it may take its time.
private func isGone(_ pid: Int32) -> Bool { ProcessStat(pid: pid)?.isZombie ?? true }
