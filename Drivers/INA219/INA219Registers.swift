import SensorKit

/// Registers of 16 bits, the upper byte first (data sheet, "Register Maps").
enum INA219Register {
    static let configuration: UInt8 = 0x00
    static let shuntVoltage: UInt8 = 0x01
    static let busVoltage: UInt8 = 0x02
}

/// The configuration register.
struct INA219Settings {
    static let reset: UInt16 = 0x8000
    static let afterReset: UInt16 = 0x399F
    /// 10 µV ("Shunt Voltage Register").
    static let shuntVoltsPerCount = 0.00001

    private static let shuntRanges: [Int64] = [40, 80, 160, 320]
    private static let sampleCounts: [Int64] = [1, 2, 4, 8, 16, 32, 64, 128]
    private static let busRanges: [Int64] = [16, 32]

    /// PG: 0 for ±40 mV at the shunt, 3 for ±320 mV.
    var gain: Int
    /// So many measurements count for one: 2 to the power of this.
    var averaging: Int
    private let bus: Int

    init(_ attributes: DocumentReader) throws(ValidationError) {
        gain = try attributes.optional("shunt_range_mv").map(Self.gain) ?? 3
        averaging = try attributes.optional("samples").map(Self.averaging) ?? 0
        bus = try attributes.optional("bus_range_volts").map(Self.bus) ?? 1
    }

    static func gain(_ reader: DocumentReader) throws(ValidationError) -> Int { try reader.index(among: shuntRanges) }

    static func averaging(_ reader: DocumentReader) throws(ValidationError) -> Int {
        try reader.index(among: sampleCounts)
    }

    private static func bus(_ reader: DocumentReader) throws(ValidationError) -> Int {
        try reader.index(among: busRanges)
    }

    /// BRNG, PG, then BADC and SADC alike, with their bit for averaging, and the mode: shunt and bus once.
    var configuration: UInt16 {
        let converter = UInt16(0b1000 | averaging)
        return UInt16(bus) << 13 | UInt16(gain) << 11 | converter << 7 | converter << 3 | 0b011
    }

    /// In millivolts.
    var shuntRange: Int64 { Self.shuntRanges[gain] }

    /// What the shunt voltage register ends at ("Shunt Voltage Register").
    var shuntLimit: Int { Int(shuntRange) * 100 }

    var busRange: Int64 { Self.busRanges[bus] }

    /// Of shunt and bus, one after the other, 586 µs each and sample at most (data sheet, "Electrical Characteristics",
    /// ADC conversion time).
    var maximumDuration: Duration { .microseconds(2 * 586) * (1 << averaging) }
}

/// The bus voltage register.
struct INA219BusVoltage {
    /// The uppermost 13 bits, in 4 mV.
    let volts: Double
    /// CNVR: what was asked for has been measured.
    let isReady: Bool

    init(register: UInt16) {
        volts = Double(register >> 3) * 0.004
        isReady = register & 0b10 != 0
    }
}
