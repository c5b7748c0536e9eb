import SensorKit
import Testing

@testable import Drivers

/// Captured on a machine with two processors, Linux 6.18.
private let stat: KernelText = """
    cpu  6306 0 3558 266757 574 0 54 368 0 0
    cpu0 2039 0 1658 134816 19 0 13 211 0 0
    cpu1 4267 0 1900 131941 555 0 41 157 0 0
    intr 1131364 0 0 0 0
    ctxt 2204481
    """

private let meminfo: KernelText = """
    MemTotal:       24684084 kB
    MemFree:        23069424 kB
    MemAvailable:   24039032 kB
    Buffers:           38312 kB
    SwapTotal:             0 kB
    """

@Suite struct CPUTimesTests {
    @Test func readsTheFirstLine() throws {
        let times = try #require(CPUTimes(stat: stat))
        #expect(times.total == 6_306 + 3_558 + 266_757 + 574 + 54 + 368)
        #expect(times.idle == 266_757 + 574)
    }

    @Test func timeOfGuestsCountsOnce() {
        #expect(CPUTimes(stat: "cpu  100 0 0 100 0 0 0 0 40 0")?.total == 200)
    }

    @Test(arguments: ["", "cpu", "cpu  1 2 3", "cpu0 1 2 3 4 5", "cpu  1 2 x 4 5 6 7 8", "intr 1 2 3 4 5 6"])
    func refusesWhatIsNoSuchLine(text: String) {
        #expect(CPUTimes(stat: KernelText(stringLiteral: text)) == nil)
    }

    @Test(arguments: [
        ("cpu  150 0 0 50", 75.0), ("cpu  0 0 0 200", 0.0), ("cpu  200 0 0 0", 100.0), ("cpu  0 0 0 0", nil),
    ])
    func comparesTwoSamples(later: String, percent: Double?) throws {
        let earlier = try #require(CPUTimes(stat: "cpu  0 0 0 0"))
        let times = try #require(CPUTimes(stat: KernelText(stringLiteral: later)))
        #expect(times.busyPercent(since: earlier) == percent)
    }

    @Test func aCounterThatGoesBackIsNoNegativeLoad() throws {
        let earlier = try #require(CPUTimes(stat: "cpu  100 0 0 100 50"))
        #expect(try #require(CPUTimes(stat: "cpu  200 0 0 100 40")).busyPercent(since: earlier) == 100)
    }
}

@Suite struct KernelTextTests {
    @Test func memory() throws {
        let memory = try #require(Memory(meminfo: meminfo))
        #expect(memory.total == 24_684_084 * 1_024)
        #expect(memory.available == 24_039_032 * 1_024)
        #expect(abs(memory.usedPercent - 2.6132) < 0.0001)
    }

    @Test(arguments: ["", "MemTotal: 5 kB", "MemTotal: 0 kB\nMemAvailable: 0 kB", "MemTotal: x\nMemAvailable: y"])
    func noMemory(text: String) {
        #expect(Memory(meminfo: KernelText(stringLiteral: text)) == nil)
    }

    @Test(arguments: [
        ("0.56", 0.56), ("2337.99", 2337.99), ("12", 12), ("-7", -7), ("0.05", 0.05), ("", nil), ("nan", nil),
        (".5", nil), ("5.", nil), ("1.2.3", nil), ("1.-2", nil), ("1234567890123456789", nil),
    ])
    func number(text: String, number: Double?) {
        #expect(KernelText(stringLiteral: text).number == number)
    }

    @Test func linesAndWords() {
        let text: KernelText = "a  b\n\nc 5 \n"
        #expect(text.lines.map(\.words.count) == [2, 2])
        #expect(text.words.count == 4 && text.words[0] == "a" && text.words[3].integer == 5)
    }

    @Test(arguments: [("47750\n", 47.75), ("-5000\n", -5.0), ("-274000\n", nil), ("", nil), ("N/A\n", nil)])
    func temperature(text: String, celsius: Double?) {
        #expect(KernelFiles.celsius(KernelText(stringLiteral: text)) == celsius)
    }
}

@Suite struct DiskSpaceTests {
    /// 1,000 blocks of 4 KiB, 400 free, of which 50 are kept for root.
    @Test func countsAsDfDoes() throws {
        let disk = DiskSpace(blockSize: 4_096, blocks: 1_000, free: 400, available: 350)
        #expect(disk.used == 600 * 4_096)
        #expect(disk.available == 350 * 4_096)
        #expect(abs(try #require(disk.usedPercent) - 100.0 * 600 / 950) < 1e-9)
    }

    @Test func survivesSillyNumbers() {
        let disk = DiskSpace(blockSize: .max, blocks: .max, free: 0, available: .max)
        #expect(disk.used == .max && disk.available == .max)
        #expect(DiskSpace(blockSize: 4_096, blocks: 0, free: 0, available: 0).usedPercent == nil)
    }
}

@Suite struct SystemDriverTests {
    private func context(_ names: [String], _ attributes: JSONObject = [:]) -> DriverContext {
        let fields = SystemDriver.fields.filter { names.contains($0.name) }
        return DriverContext(
            instance: Identifier("machine")!, type: SensorType(name: Identifier("machine")!, fields: fields),
            attributes: attributes)
    }

    @Test func readsThisMachine() throws {
        var driver = try SystemDriver(context(SystemDriver.fields.map(\.name)))
        let values = try #require(try driver.read().first).values
        #expect((0...100).contains(try #require(values["cpu_percent"]?.double)))
        #expect((0...100).contains(try #require(values["disk_used_percent"]?.double)))

        // The same values by another way.
        let uptime = try #require(Double(try File.text(of: "/proc/uptime").split(separator: " ")[0]))
        #expect(abs(try #require(values["uptime_seconds"]?.double) - uptime) < 5)
        let total = try #require(KernelFiles().memory()).total
        let percent = try #require(values["memory_used_percent"]?.double)
        let available = try #require(values["memory_available_bytes"]?.int)
        #expect(abs(100 * (1 - Double(available) / Double(total)) - percent) < 0.01)
    }

    @Test func readsOnlyWhatTheTypeHas() throws {
        var driver = try SystemDriver(context(["load_1m", "disk_free_bytes"], ["path": "/tmp"]))
        #expect(try driver.read()[0].values.keys == ["load_1m", "disk_free_bytes"])
    }

    @Test func takesTheHottestTemperature() throws {
        let tree = try FileTree([
            "sys/class/thermal/thermal_zone0/temp": "40000\n", "sys/class/thermal/thermal_zone1/temp": "-274000\n",
            "sys/class/thermal/cooling_device0/temp": "99000\n", "sys/class/hwmon/hwmon0/temp1_input": "52125\n",
            "sys/class/hwmon/hwmon0/temp1_max": "100000\n", "sys/class/hwmon/hwmon1/name": "none\n",
        ])
        var driver = try SystemDriver(context(["temperature_celsius"]), kernel: KernelFiles(root: tree.path))
        #expect(try driver.read() == [Measurement(["temperature_celsius": 52.125])])
    }

    @Test func leavesOutWhatTheMachineDoesNotHave() throws {
        let tree = try FileTree(["proc/loadavg": "0.56 0.28 0.11 2/160 5071\n"])
        var driver = try SystemDriver(
            context(["load_1m", "temperature_celsius", "uptime_seconds"]), kernel: KernelFiles(root: tree.path))
        #expect(try driver.read() == [Measurement(["load_1m": 0.56])])
    }

    @Test func nothingAtAllIsAFault() throws {
        let tree = try FileTree([:])
        var driver = try SystemDriver(context(["temperature_celsius"]), kernel: KernelFiles(root: tree.path))
        #expect(throws: SensorFault("this machine has nothing to read for temperature_celsius")) { try driver.read() }
    }

    @Test func aPathThatIsNotThereIsAFault() throws {
        var driver = try SystemDriver(context(["disk_free_bytes"], ["path": "/no/such"]))
        #expect(throws: SensorFault("no disk space is known for path '/no/such': No such file or directory")) {
            try driver.read()
        }
    }

    @Test(arguments: [JSON.string("tmp"), 5]) func refusesAPathThatIsNone(path: JSON) {
        #expect { try SystemDriver(context(["disk_free_bytes"], ["path": path])) } throws: {
            ($0 as? ValidationError)?.path == "path"
        }
    }
}
