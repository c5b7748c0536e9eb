import HardwareSupport
import SensorKit
import TestSupport
import Testing

@testable import Drivers

@Suite struct DHT22FrameTests {
    /// What the chip's line does for five bytes, as times of falling edges: the answer, then each bit's end.
    private func edges(_ bytes: [UInt8], jitter: [Int] = [0]) -> [Instant] {
        var times = [Instant(nanoseconds: 5_000_000_000)]
        func add(_ microseconds: Int) {
            times.append(times.last! + .microseconds(microseconds + jitter[times.count % jitter.count]))
        }
        add(160)
        for byte in bytes { for place in (0..<8).reversed() { add(byte >> place & 1 == 1 ? 120 : 77) } }
        return times
    }

    /// Data sheet: 0000 0010 1000 1100 0000 0001 0101 1111 1110 1110 is 65.2 % and 35.1 °C; 1000 0000 0110 0101, with
    /// the sign, is -10.1 °C.
    @Test func examplesOfTheDataSheet() throws {
        let frame = try DHT22Frame(fallingEdges: edges([0b10, 0b1000_1100, 0b1, 0b0101_1111, 0b1110_1110]))
        #expect(frame.humidity == 65.2 && frame.celsius == 35.1)
        #expect(try DHT22Frame([0x02, 0x8C, 0x80, 0x65, 0x73]).celsius == -10.1)
    }

    @Test func theFirstEdgeMayBeMissing() throws {
        let all = edges([0x02, 0x8C, 0x01, 0x5F, 0xEE], jitter: [0, 9, -9, 4])
        #expect(try DHT22Frame(fallingEdges: all) == (try DHT22Frame(fallingEdges: Array(all.dropFirst()))))
    }

    @Test func whatIsNoFrame() {
        func reason(_ times: [Instant]) -> String {
            do throws(SensorFault) {
                return "\(try DHT22Frame(fallingEdges: times))"
            } catch {
                return error.reason
            }
        }
        let good = edges([0x02, 0x8C, 0x01, 0x5F, 0xEE])
        #expect(reason(Array(good.dropLast(2))) == "40 falling edges were seen instead of 42")
        var merged = good
        merged.remove(at: 20)
        merged.insert(good[0] + .microseconds(-80), at: 0)
        #expect(reason(merged).hasSuffix("which no bit takes"))
        #expect(reason(edges([0x02, 0x8C, 0x01, 0x5F, 0xEF])) == "the checksum is wrong: 0x02 0x8C 0x01 0x5F 0xEF")
        #expect(reason(edges([0, 0, 0, 0, 0])) == "it says nothing but zeroes")
        #expect(reason(edges([0x03, 0xE9, 0, 0, 0xEC])) == "it says 100.1 % humidity, which cannot be")
        #expect(reason(edges([0, 1, 0x03, 0x21, 0x25])) == "it says 80.1 °C, which it cannot measure: -40 to 80")
        #expect(reason([]) == "0 falling edges were seen instead of 42")
    }
}

@Suite struct DHT22AttemptsTests {
    private let start = Instant(nanoseconds: 1_000_000_000_000)

    @Test func needsTwoSeconds() throws {
        var attempts = DHT22Attempts()
        #expect(try attempts.begin(at: start))
        #expect(try !attempts.begin(at: start + .milliseconds(1_999)))
        #expect(try attempts.begin(at: start + .seconds(2)))
    }

    @Test func oneFailureIsOrdinaryThreeAreAFault() throws {
        var attempts = DHT22Attempts()
        try attempts.failed(SensorFault("a"))
        try attempts.failed(SensorFault("b"))
        attempts.succeeded()
        try attempts.failed(SensorFault("c"))
        try attempts.failed(SensorFault("d"))
        let fault = #expect(throws: SensorFault.self) { try attempts.failed(SensorFault("e")) }
        #expect(fault?.reason == "3 times in a row: e")
        // Asked too early, it is still at fault.
        _ = try? attempts.begin(at: start)
        #expect(throws: SensorFault.self) { try attempts.begin(at: start + .seconds(1)) }
    }
}

@Suite struct DHT22Tests {
    private let hardware = ScriptedHardware()
    private let sys = TemporaryFolder()

    private func driver(_ attributes: JSONObject) throws -> DHT22Driver {
        hardware.kernelDevices = KernelDevices(root: sys.path)
        return try DHT22Driver(hardware.context(fields: DHT22Driver.fields, attributes: attributes))
    }

    private func kernelSays(celsius: String, humidity: String) throws {
        let folder = "sys/bus/iio/devices/iio:device0"
        try sys.write("\(folder)/name", "dht11\n")
        try sys.write("\(folder)/in_temp_input", "\(celsius)\n")
        try sys.write("\(folder)/in_humidityrelative_input", "\(humidity)\n")
    }

    @Test func readsThroughTheKernel() throws {
        try kernelSays(celsius: "-10100", humidity: "65200")
        var driver = try driver(["device": "dht11"])
        #expect(
            try driver.read().map(\.values) == [["temperature_celsius": -10.1, "humidity_percent": 65.2]])
        // It is too early for the next one.
        #expect(try driver.read().isEmpty)
    }

    @Test func proposesItself() throws {
        try kernelSays(celsius: "-10100", humidity: "65200")
        try sys.write("sys/bus/iio/devices/iio:device1/name", "bh1750\n")
        let found = DHT22Driver.sensors(of: KernelDevices(root: sys.path))
        #expect(found.map(\.attributes) == [["device": "dht11"]])
    }

    @Test func nothingIsPublishedOfWhatCannotBe() throws {
        try kernelSays(celsius: "-10100", humidity: "165200")
        var driver = try driver(["device": "dht11"])
        #expect(try driver.read().isEmpty)
    }

    /// The line is pulled low for the chip, then listened to, with edges and a resistor.
    @Test func wakesTheChipUp() throws {
        let line = ScriptedLine(true)
        hardware.lines = ["DATA": line]
        var driver = try driver(["line": "DATA"])
        #expect(try driver.read().isEmpty)
        #expect(line.outputs == [false])
        #expect(hardware.requests.map(\.direction) == [.output([false], .pushPull), .input(.falling)])
        #expect(hardware.requests.last?.bias == .pullUp)
        #expect(!line.isHeld)
    }

    @Test(
        arguments: [
            ([:], "line: is missing, and so is 'device', the kernel's: one of them is needed"),
            (
                ["line": "A", "device": "dht11"],
                "device: and 'line' contradict each other: the sensor is read in one way"
            ),
        ] as [(JSONObject, String)])
    func wrongAttributes(attributes: JSONObject, message: String) {
        let error = #expect(throws: ValidationError.self) { try driver(attributes) }
        #expect(error?.description == message)
    }
}
