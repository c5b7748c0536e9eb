import SensorKit

/// Registers of 16 bits, the upper byte first (data sheet, "Register Map").
enum ADS1115Register {
    static let conversion: UInt8 = 0
    static let configuration: UInt8 = 1

    /// OS, which starts a conversion, the mode that it is the only one, and no comparator.
    static let oneShot: UInt16 = 0b1000_0001_0000_0011
    /// OS reads 1 when there is no conversion going on.
    static let isDone: UInt16 = 1 << 15
}

/// What is measured against what, by the field that it is in.
enum ADS1115Input: String, CaseIterable {
    case ain0 = "ain0_volts"
    case ain1 = "ain1_volts"
    case ain2 = "ain2_volts"
    case ain3 = "ain3_volts"
    case ain0To1 = "ain0_ain1_volts"
    case ain0To3 = "ain0_ain3_volts"
    case ain1To3 = "ain1_ain3_volts"
    case ain2To3 = "ain2_ain3_volts"

    /// The bits MUX of the configuration.
    var multiplexer: UInt16 {
        switch self {
        case .ain0To1: 0 << 12
        case .ain0To3: 1 << 12
        case .ain1To3: 2 << 12
        case .ain2To3: 3 << 12
        case .ain0: 4 << 12
        case .ain1: 5 << 12
        case .ain2: 6 << 12
        case .ain3: 7 << 12
        }
    }

    var description: String {
        rawValue.dropLast("_volts".count).split(separator: "_").map { $0.uppercased() }.joined(separator: " against ")
    }
}

enum ADS1115Model: String, CaseIterable {
    case ads1115, ads1015

    /// Data rates in conversions per second, in the order of the bits DR.
    var rates: [Int64] {
        switch self {
        case .ads1115: [8, 16, 32, 64, 128, 250, 475, 860]
        case .ads1015: [128, 250, 490, 920, 1_600, 2_400, 3_300]
        }
    }

    /// What the register ends at; of the ADS1015 the lowest four bits are 0.
    var maximum: Int16 { self == .ads1115 ? 0x7FFF : 0x7FF0 }
}

/// The range: from minus to plus so many volts.
struct ADS1115Range: Equatable {
    private static let all = [6.144, 4.096, 2.048, 1.024, 0.512, 0.256]

    private let index: Int

    static let fourVolts = ADS1115Range(index: 1)

    private init(index: Int) { self.index = index }

    init(_ reader: DocumentReader) throws(ValidationError) {
        index = try reader.index(among: Self.all)
    }

    var volts: Double { Self.all[index] }

    var isWidest: Bool { index == 0 }

    /// The bits PGA of the configuration.
    var gain: UInt16 { UInt16(index) << 9 }

    /// Full scale is 2^15, with both chips, as the ADS1015's bits are the upper ones ("Data Format").
    func volts(_ result: Int16) -> Double { Double(result) * volts / 32_768 }
}

struct ADS1115Rate: Equatable {
    private let index: Int
    private let rate: Int64

    /// As at power-up: 128 a second with the ADS1115, 1600 with the ADS1015.
    static func initial(_ model: ADS1115Model) -> ADS1115Rate { ADS1115Rate(index: 4, rate: model.rates[4]) }

    private init(index: Int, rate: Int64) {
        self.index = index
        self.rate = rate
    }

    init(_ reader: DocumentReader, _ model: ADS1115Model) throws(ValidationError) {
        index = try reader.index(among: model.rates)
        rate = model.rates[index]
    }

    /// The bits DR of the configuration.
    var bits: UInt16 { UInt16(index) << 5 }

    /// The clock may be 10 % slow ("Electrical Characteristics", data rate variation), and waking up takes a moment.
    var maximumDuration: Duration { .microseconds(1_100_000 / rate + 100) }
}
