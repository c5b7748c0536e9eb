import MQTT
import SensorKit
import TestSupport
import Testing

/// The runner with a real broker.
@Suite(.serialized) struct DriverRunnerTests {
    private let broker: TestBroker
    private let hub: TestHub

    init() throws {
        broker = try TestBroker()
        hub = TestHub(broker.address)
    }

    @Test func publishesReadingsAndStatus() throws {
        try broker.start()
        #expect(try hub.isConnected())
        let driver = try RunningDriver(broker.address)
        #expect(hub.wait { hub.readings.count >= 5 })
        let readings = hub.readings
        #expect(readings.map { $0["seq"]?.int } == (1...Int64(readings.count)).map { $0 })
        #expect(readings.map { $0["v"]?["count"]?.int } == (1...Int64(readings.count)).map { $0 })
        #expect(Set(readings.map { $0["boot"]! }).count == 1)
        #expect(hub.lastStatus == "online")

        #expect(driver.stop() < .seconds(15))
        #expect(hub.wait { hub.lastStatus == "offline" })
        #expect(hub.payloads("status").last?["reason"] == "stopped")
    }

    @Test func carriesOutControlCallsAndReadsAtOnce() throws {
        try broker.start()
        #expect(try hub.isConnected())
        let driver = try RunningDriver(broker.address)
        #expect(hub.wait { hub.readings.count >= 1 })
        try hub.publish("control", ["id": "1", "function": "turn", "params": ["on": true]])
        try hub.publish("control", ["id": "2", "function": "turn", "params": ["on": 1]])
        try hub.publish("control", ["id": "3", "function": "trun", "params": [:]])
        #expect(hub.wait { hub.payloads("control/reply").count == 3 })
        #expect(hub.payloads("control/reply").map { $0["status"] } == ["done", "refused", "refused"])
        #expect(hub.wait { hub.readings.last?["v"]?["on"] == true })

        driver.script.setFault("no answer")
        try hub.publish("control", ["id": "4", "function": "turn", "params": ["on": false]])
        #expect(hub.wait { hub.payloads("control/reply").count == 4 })
        #expect(hub.payloads("control/reply").last?["status"] == "failed")
        #expect(hub.payloads("control/reply").last?["error"] == "the lamp does not answer")
    }

    @Test func theDriverIsToldWhetherTheHubIsThere() throws {
        try broker.start()
        #expect(try hub.isConnected())
        let driver = try RunningDriver(broker.address)
        func told(_ list: [Bool]) -> Bool { hub.wait { driver.script.hubWasReachable.withLock { $0 } == list } }
        #expect(told([true]))
        try hub.say("offline")
        #expect(told([true, false]))
        try hub.say("online")
        #expect(told([true, false, true]))
        broker.kill()
        #expect(told([true, false, true, false]))
    }

    @Test func aFaultIsAStatusAndNoReading() throws {
        try broker.start()
        #expect(try hub.isConnected())
        let driver = try RunningDriver(broker.address)
        #expect(hub.wait { hub.readings.count >= 2 })
        driver.script.setFault("no answer")
        #expect(hub.wait { hub.lastStatus == "fault" })
        #expect(hub.payloads("status").last?["reason"] == "no answer")
        let count = hub.readings.count
        driver.script.setFault(nil)
        #expect(hub.wait { hub.lastStatus == "online" })
        #expect(hub.payloads("status").map { $0["status"] } == ["online", "fault", "online"])
        #expect(hub.wait { hub.readings.count > count })
        #expect(hub.readings.map { $0["seq"]?.int } == (1...Int64(hub.readings.count)).map { $0 })
    }

    @Test func losesNothingWhenTheBrokerDies() throws {
        let driver = try RunningDriver(broker.address)
        pause(.milliseconds(300))
        try broker.start()
        #expect(hub.wait { hub.readings.count >= 10 })
        broker.kill()
        pause(.milliseconds(300))
        try broker.start()
        #expect(try hub.isConnected())
        let count = hub.readings.count
        #expect(hub.wait { hub.readings.count >= count + 20 })
        driver.stop()
        // Repeats are expected, gaps are not.
        let seqs = Set(hub.readings.compactMap { $0["seq"]?.int })
        #expect(seqs == Set(1...seqs.max()!))
    }

    @Test func sendsOnlyWhatIsNotCommittedAgain() throws {
        try broker.start()
        let driver = try RunningDriver(broker.address)
        #expect(hub.wait { hub.readings.count >= 10 })
        let last = try #require(hub.readings.last)
        try hub.publish("committed", ["boot": last["boot"]!, "seq": last["seq"]!], isRetained: true)
        let committed = last["seq"]!.int!
        // When the broker has told us, it has told the driver.
        #expect(hub.wait { hub.payloads("committed").count == 1 })
        let heard = hub.readings.count
        #expect(hub.wait { hub.readings.count >= heard + 5 })
        broker.kill()
        let before = hub.readings.count
        try broker.start()
        #expect(try hub.isConnected())
        #expect(hub.wait { hub.readings.count >= before + 10 })
        driver.stop()
        #expect(hub.readings.dropFirst(before).allSatisfy { $0["seq"]!.int! > committed })
    }

    @Test func eachStartHasAHigherBootNumber() throws {
        try broker.start()
        #expect(try hub.isConnected())
        let future: Int64 = 4_000_000_000_000
        try hub.publish("committed", ["boot": .int(future), "seq": 7], isRetained: true)
        let folder = TemporaryFolder()
        // Readings that were taken before the hub was asked stay under the number that they have.
        try RunningDriver(broker.address, stateDirectory: folder.path).runUntil {
            hub.wait { hub.readings.last?["boot"] == .int(future + 1) }
        }
        // The hub has committed nothing of that; the file remembers.
        try RunningDriver(broker.address, stateDirectory: folder.path).runUntil {
            hub.wait { hub.readings.last?["boot"] == .int(future + 2) }
        }
        let file = try JSON(parsing: File.bytes(of: "\(folder.path)/counter-1.boots"))
        #expect(file["boots"]?.array?.last?.array?.first == .int(future + 2))
    }

    @Test func stopsAtOnceWithoutABroker() throws {
        let driver = try RunningDriver(broker.address)
        pause(.milliseconds(200))
        #expect(driver.stop() < .seconds(15))
        #expect(driver.lines.all.contains { $0.hasPrefix("readings could not be sent and are lost: ") })
    }
}

extension RunningDriver {
    /// Runs until `condition` is true or has waited in vain.
    fileprivate func runUntil(_ condition: () -> Bool) {
        #expect(condition())
        stop()
    }
}
