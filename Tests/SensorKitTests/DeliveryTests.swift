import Glibc
import MQTT
import SensorKit
import TestSupport
import Testing

/// A process of `sensor-driver` that reads a thousand times a second, and its state directory.
private final class DriverProcess {
    private let folder: TemporaryFolder
    private let address: BrokerAddress
    private(set) var pid: pid_t = 0

    static let sensor = "wave-1"

    init(_ address: BrokerAddress, _ folder: TemporaryFolder) throws {
        self.address = address
        self.folder = folder
        try folder.write(
            "config.json",
            """
            {"driver": "simulated", "type": {"name": "wave", "company": "", "fields": {"x": "float"}, "functions": []},
             "instance": {"name": "\(Self.sensor)", "type": "wave", "interval": 0.001, "attributes":
               {"simulate": {"x": {"pattern": "random", "min": 0, "max": 1}}}}}
            """)
    }

    deinit { end(SIGKILL) }

    func start() throws {
        let words = [try Self.executable, "--config", "\(folder.path)/config.json"]
        let variables = ["SENSORHUB_BROKER=\(address)", "SENSORHUB_STATE=\(folder.path)"]
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        var environment: [UnsafeMutablePointer<CChar>?] = variables.map { strdup($0) } + [nil]
        defer { (arguments + environment).forEach { free($0) } }
        // Threads of the tests may have signals blocked, which a child would inherit.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        let code = posix_spawn(&pid, words[0], nil, &attributes, &arguments, &environment)
        guard code == 0 else { throw FileError(words[0], code) }
    }

    /// - Returns: the signal that the process has died of; 0 where it has ended by itself.
    @discardableResult
    func end(_ signal: Int32) -> Int32 {
        guard pid > 0 else { return 0 }
        kill(pid, signal)
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        pid = 0
        return status & 0x7F
    }

    /// Beside the program that the tests are in.
    private static var executable: String {
        get throws {
            let place = builtProgram("sensor-driver")
            guard access(place, X_OK) == 0 else { throw FileError(place, errno) }
            return place
        }
    }
}

@Suite(.serialized) struct DeliveryTests {
    private let broker: TestBroker
    private let folder = TemporaryFolder()

    init() throws {
        broker = try TestBroker()
        try broker.start()
    }

    /// An agent that was killed may not find a driver again that it has started, and start another one. How far the first
    /// one came is known only when it is gone.
    @Test(arguments: [false, true]) func aStartEndsTheStartBeforeIt(isFrozen: Bool) throws {
        let hub = CountingHub(broker.address, sensor: DriverProcess.sensor, isDeaf: false)
        let first = try DriverProcess(broker.address, folder), second = try DriverProcess(broker.address, folder)
        try first.start()
        #expect(hub.wait { $0.messages > 50 })
        if isFrozen { kill(first.pid, SIGSTOP) }
        try second.start()
        #expect(hub.wait { $0.highest.count == 2 })
        kill(first.pid, SIGCONT)
        // It has died before it was asked.
        #expect(first.end(SIGTERM) == SIGKILL)
        try check(hub, second, boots: 2)
    }

    /// Lets the driver run until the hub has everything that it took, and checks the books.
    private func check(_ hub: CountingHub, _ driver: DriverProcess, boots: Int) throws {
        hub.hearEverything()
        let boot = try #require(hub.books.highest.keys.max())
        // Another start, so that the one before says how far it came.
        driver.end(SIGKILL)
        try driver.start()
        #expect(hub.wait { ($0.highest.keys.max() ?? 0) > boot && $0.ended[boot] != nil && $0.isWhole })
        driver.end(SIGTERM)
        hub.stop()

        let books = hub.books
        #expect(books.contradictions == [])
        #expect(books.readings.count >= boots)
        for (boot, highest) in books.highest {
            let there = Set((books.readings[boot] ?? [:]).keys), lost = books.lost[boot] ?? []
            #expect(Set(1...highest).subtracting(there).isEmpty, "of boot \(boot), lost \(lost.count)")
            #expect(books.ended[boot].map { $0 == highest } ?? (boot == books.highest.keys.max()))
        }
    }

    @Test func nothingIsLostWhenTheDriverIsKilled() throws {
        let hub = CountingHub(broker.address, sensor: DriverProcess.sensor, isDeaf: false)
        let driver = try DriverProcess(broker.address, folder)
        for run in 1...4 {
            try driver.start()
            let before = hub.books.messages
            #expect(hub.wait { $0.messages > before + 50 })
            pause(.milliseconds(100 * run))
            driver.end(SIGKILL)
        }
        try driver.start()
        pause(.milliseconds(500))
        try check(hub, driver, boots: 5)
    }

    @Test func nothingIsLostWhenBrokerAndDriverAreKilledAndMessagesGetLost() throws {
        let hub = CountingHub(broker.address, sensor: DriverProcess.sensor, isDeaf: true)
        let driver = try DriverProcess(broker.address, folder)
        try driver.start()
        for _ in 1...3 {
            let before = hub.books.messages
            #expect(hub.wait { $0.messages > before + 50 })
            broker.kill()
            pause(.milliseconds(300))
            driver.end(SIGKILL)
            // Runs without a broker, and is killed again.
            try driver.start()
            pause(.milliseconds(300))
            driver.end(SIGKILL)
            try driver.start()
            try broker.start()
        }
        let before = hub.books.messages
        #expect(hub.wait { $0.messages > before + 50 })
        try check(hub, driver, boots: 7)
    }
}
