import HardwareSupport
import SensorKit
import Testing

@testable import LinuxHardware

@Suite struct BitBangedI2CBusTests {
    private let wires = SimulatedWires()

    private func bus(timeout: Duration = .seconds(10)) throws -> BitBangedI2CBus {
        try BitBangedI2CBus(
            BitBangedBusSettings(
                sda: .name("SDA"), scl: .name("SCL"), halfPeriod: .nanoseconds(1), timeout: timeout),
            hardware: wires, user: "test")
    }

    @Test func writesAndReadsAfterARepeatedStart() throws {
        wires.registers[0x10] = 0xA5
        wires.registers[0x11] = 0x3C
        let bus = try bus()
        #expect(try bus.transfer([.write([0x10]), .read(2)], to: 0x23) == [0xA5, 0x3C])
        #expect(try bus.transfer([.write([0x20, 1, 2, 3])], to: 0x23) == [])
        #expect(wires.registers[0x20...0x22] == [1, 2, 3])
        // A start for each message, a stop for each transfer; the last byte read is not acknowledged.
        #expect(wires.events == ["S", "S", "N", "P", "S", "P"])
        #expect(wires.isFree)
    }

    @Test func linesAreTakenAsOpenDrainWithPullUp() throws {
        _ = try bus()
        #expect(wires.requests.map(\.direction) == [.output([true], .openDrain), .output([true], .openDrain)])
        #expect(wires.requests.map(\.bias) == [.pullUp, .pullUp])
        #expect(wires.requests.map(\.consumer) == ["test", "test"])
    }

    @Test func nobodyAnswers() throws {
        let bus = try bus()
        let error = #expect(throws: I2CError.self) { try bus.transfer([.read(1)], to: 0x24) }
        #expect(error?.code == .noAnswer)
        #expect(wires.isFree)
    }

    @Test func aChipMayStretchTheClock() throws {
        wires.registers[0] = 0x77
        wires.stretchesReads = 40
        #expect(try bus().transfer([.write([0]), .read(1)], to: 0x23) == [0x77])
    }

    @Test func butNotForEver() throws {
        let bus = try bus(timeout: .milliseconds(5))
        wires.stretchesReads = .max
        let error = #expect(throws: I2CError.self) { try bus.transfer([.write([0]), .read(1)], to: 0x23) }
        #expect(error == I2CError(.timeout, "the clock line is held low"))
    }

    @Test func aChipThatWasInterruptedIsClockedOut() throws {
        let bus = try bus()
        wires.holdData(forClocks: 5)
        #expect(try bus.transfer([.write([0x30, 9])], to: 0x23) == [])
        #expect(wires.registers[0x30] == 9)
    }

    @Test func aDataLineThatIsHeldForGood() throws {
        let bus = try bus()
        wires.holdData(forClocks: .max)
        let error = #expect(throws: I2CError.self) { try bus.transfer([.read(1)], to: 0x23) }
        #expect(error == I2CError(.timeout, "the data line is held low"))
    }

    @Test func aLineThatFails() throws {
        let bus = try bus()
        wires.fault = SensorFault("unplugged")
        let error = #expect(throws: I2CError.self) { try bus.transfer([.read(1)], to: 0x23) }
        #expect(error == I2CError(.gone, "unplugged"))
    }
}
