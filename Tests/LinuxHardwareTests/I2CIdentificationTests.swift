import HardwareSupport
import SensorKit
import Testing

@testable import LinuxHardware

private protocol Fake: Driver {}

extension Fake {
    static var summary: String { "" }
    static var defaultInterval: Duration { .seconds(1) }
    mutating func read() throws(SensorFault) -> [Measurement] { [] }
}

private struct One: Fake {
    static let name = "one"
    static let i2cAddresses: [UInt8] = [0x76, 0x39]
    static let i2cIdentity = I2CIdentity.register(0xD0) { $0 == 0x60 }
    init(_ context: DriverContext) throws(ValidationError) {}
}

private struct Two: Fake {
    static let name = "two"
    static let i2cAddresses: [UInt8] = [0x76]
    static let i2cIdentity = I2CIdentity.register(0x75) { $0 == 0x68 }
    init(_ context: DriverContext) throws(ValidationError) {}
}

private struct Nameless: Fake {
    static let name = "nameless"
    static let i2cAddresses: [UInt8] = [0x76, 0x48]
    init(_ context: DriverContext) throws(ValidationError) {}
}

private struct Touchy: Fake {
    static let name = "touchy"
    static let i2cAddresses: [UInt8] = [0x39]
    static let i2cIdentity = I2CIdentity.disturbedByBytes
    init(_ context: DriverContext) throws(ValidationError) {}
}

@Suite struct I2CIdentificationTests {
    private let hardware = ScriptedHardware()

    private func identify(_ address: UInt8, asks: Bool = true) throws -> I2CIdentification {
        try I2CIdentification(
            at: address, of: try hardware.openI2C(.number(1), user: ""),
            [One.self, Two.self, Nameless.self, Touchy.self], asks: asks)
    }

    @Test func theOneThatItIs() throws {
        hardware.chips[0x76] = RegisterChip([0xD0: [0x60]])
        #expect(try identify(0x76).drivers == ["one"])
        #expect(try identify(0x76).isCertain)
        hardware.chips[0x76] = RegisterChip([0x75: [0x68]])
        #expect(try identify(0x76).drivers == ["two"])
    }

    @Test func whatIsLeftWhenItIsNoneOfThem() throws {
        hardware.chips[0x76] = RegisterChip([0xD0: [0x61]])
        #expect(try identify(0x76).drivers == ["nameless"])
        #expect(try !identify(0x76).isCertain)
    }

    @Test func registersAreReadAndNothingIsWritten() throws {
        let chip = CannedChip()
        hardware.chips[0x76] = chip
        _ = try identify(0x76)
        #expect(chip.written == [[0xD0], [0x75]])
    }

    @Test func whoMindsIsNotAsked() throws {
        let chip = CannedChip([0x60])
        hardware.chips[0x39] = chip
        #expect(try identify(0x39).drivers == ["one", "touchy"])
        #expect(chip.written.isEmpty)
    }

    @Test func nobodyIsAskedWhereThatIsNotWanted() throws {
        let chip = CannedChip([0x60])
        hardware.chips[0x76] = chip
        #expect(try identify(0x76, asks: false).drivers == ["one", "two", "nameless"])
        #expect(chip.written.isEmpty)
    }

    @Test func aChipThatTakesNoRegisterIsNone() throws {
        let chip = CannedChip()
        chip.error = I2CError(.noAnswer, "not acknowledged")
        hardware.chips[0x76] = chip
        #expect(try identify(0x76).drivers == ["nameless"])
    }

    @Test func aBusThatHangsIsSaid() {
        let chip = CannedChip()
        chip.error = I2CError(.timeout, "held")
        hardware.chips[0x76] = chip
        #expect(throws: I2CError.self) { try identify(0x76) }
    }
}
