import SensorKit

/// Registers and their bits (data sheet, "Memory map" and "Register description").
enum BME280Register {
    static let calibration: UInt8 = 0x88
    static let id: UInt8 = 0xD0
    static let humidityCalibration: UInt8 = 0xE1
    static let controlHumidity: UInt8 = 0xF2
    /// `control` follows it.
    static let status: UInt8 = 0xF3
    static let control: UInt8 = 0xF4
    static let configuration: UInt8 = 0xF5
    static let data: UInt8 = 0xF7

    static let isMeasuring: UInt8 = 1 << 3
    static let isCopying: UInt8 = 1
    static let forcedMode: UInt8 = 0b01
}

enum BME280Kind {
    case bme280, bmp280

    /// Early BMP280 are 0x56 and 0x57 (data sheet of the BMP280, "Register 0xD0").
    init?(id: UInt8) {
        switch id {
        case 0x60: self = .bme280
        case 0x56...0x58: self = .bmp280
        default: return nil
        }
    }
}

/// How many measurements of each quantity the chip takes for one: less noise for more time.
struct BME280Oversampling: Equatable {
    /// Of the registers: 1 for one measurement, 5 for sixteen.
    let bits: UInt8

    static let once = BME280Oversampling(bits: 1)
    private static let counts: [Int64] = [1, 2, 4, 8, 16]

    private init(bits: UInt8) { self.bits = bits }

    init(_ reader: DocumentReader) throws(ValidationError) {
        bits = UInt8(try reader.index(among: Self.counts)) + 1
    }

    /// Of all three quantities: 1.25 ms + 2.3 ms each, and 0.575 ms for pressure and for humidity (data sheet,
    /// "Measurement time").
    var maximumDuration: Duration {
        .microseconds(1_250 + 3 * 2_300 * (1 << Int(bits - 1)) + 2 * 575)
    }
}

/// The filter that evens out what a door or a gust does to the pressure: each measurement counts for one part in so
/// many.
struct BME280Filter: Equatable {
    let bits: UInt8

    static let off = BME280Filter(bits: 0)
    private static let coefficients: [Int64] = [0, 2, 4, 8, 16]

    private init(bits: UInt8) { self.bits = bits }

    init(_ reader: DocumentReader) throws(ValidationError) {
        bits = UInt8(try reader.index(among: Self.coefficients))
    }
}

/// What the converter says, before compensation.
struct BME280Raw {
    let pressure: UInt32
    let temperature: UInt32
    let humidity: UInt16?

    /// What is there when nothing was measured ("Register 0xF7…0xF9").
    static let none: UInt32 = 0x80000
    static let noHumidity: UInt16 = 0x8000

    /// - Parameter bytes: the registers from 0xF7 on: 20 bits of pressure, 20 of temperature, and of a BME280 16 of
    ///   humidity.
    init(_ bytes: [UInt8]) {
        pressure = bytes.uint24(at: 0, .bigEndian) >> 4
        temperature = bytes.uint24(at: 3, .bigEndian) >> 4
        humidity = bytes.count < 8 ? nil : bytes.uint16(at: 6, .bigEndian)
    }
}
