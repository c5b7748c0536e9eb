import SensorKit

/// Registers and their values (data sheet, "Global Memory Map", "Measurement of pressure and temperature").
enum BMP085Register {
    static let calibration: UInt8 = 0xAA
    static let id: UInt8 = 0xD0
    static let control: UInt8 = 0xF4
    static let result: UInt8 = 0xF6

    static let expectedID: UInt8 = 0x55
    static let measureTemperature: UInt8 = 0x2E
    static let isMeasuring: UInt8 = 1 << 5
}

/// How many measurements of the pressure the chip takes for one: less noise for more time.
struct BMP085Oversampling: Equatable {
    /// 2 to the power of this are taken.
    let exponent: Int

    static let once = BMP085Oversampling(exponent: 0)
    private static let counts: [Int64] = [1, 2, 4, 8]

    private init(exponent: Int) { self.exponent = exponent }

    init(_ reader: DocumentReader) throws(ValidationError) {
        exponent = try reader.index(among: Self.counts)
    }

    var command: UInt8 { 0x34 | UInt8(exponent) << 6 }

    /// "Electrical characteristics", conversion time of pressure; that of temperature is the shortest one.
    var maximumDuration: Duration {
        .microseconds([4_500, 7_500, 13_500, 25_500][exponent])
    }
}
