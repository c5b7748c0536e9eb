import SensorKit

/// The five bytes that a DHT22 (AM2302) says: humidity and temperature in tenths, and their sum (data sheet,
/// "Communication and signal").
struct DHT22Frame: Hashable {
    /// %.
    let humidity: Double
    /// °C.
    let celsius: Double

    /// The chip's answer and 40 bits have 42 falling edges. Each bit is the time from one to the next: 50 µs low, then
    /// 26 to 28 µs high for a 0, and 70 µs for a 1.
    private static let bits = 40
    private static let shortest = Duration.microseconds(55)
    /// Between a 0, 76 to 78 µs, and a 1, 120 µs.
    private static let threshold = Duration.microseconds(100)
    /// Two zeroes between which an edge was missed take 152 µs.
    private static let longest = Duration.microseconds(145)

    private static let humidities = 0.0...100.0
    private static let temperatures = -40.0...80.0

    /// Decodes the line's falling edges. The first of them, the chip's answer, may have been missed while the line was
    /// made an input: the last 41 count.
    init(fallingEdges times: [Instant]) throws(SensorFault) {
        guard times.count > Self.bits else {
            throw SensorFault("\(times.count) falling edges were seen instead of 42")
        }
        let last = Array(times.suffix(Self.bits + 1))
        var bytes = [UInt8](repeating: 0, count: 5)
        for bit in 0..<Self.bits {
            let period = last[bit + 1] - last[bit]
            guard (Self.shortest...Self.longest).contains(period) else {
                throw SensorFault("bit \(bit + 1) took \(period.nanoseconds / 1_000) µs, which no bit takes")
            }
            bytes[bit / 8] = bytes[bit / 8] << 1 | (period > Self.threshold ? 1 : 0)
        }
        try self.init(bytes)
    }

    init(_ bytes: [UInt8]) throws(SensorFault) {
        let list = bytes.map(hexadecimal).joined(separator: " ")
        guard bytes[0..<4].reduce(0, &+) == bytes[4] else { throw SensorFault("the checksum is wrong: \(list)") }
        // With five zeroes it is right, and the line perhaps shorted.
        guard bytes.contains(where: { $0 != 0 }) else { throw SensorFault("it says nothing but zeroes") }
        let magnitude = Double(bytes.uint16(at: 2, .bigEndian) & 0x7FFF) / 10
        try self.init(
            humidity: Double(bytes.uint16(at: 0, .bigEndian)) / 10,
            celsius: bytes[2] & 0x80 == 0 ? magnitude : -magnitude)
    }

    /// - Throws: `SensorFault` for what the chip cannot measure.
    init(humidity: Double, celsius: Double) throws(SensorFault) {
        guard Self.humidities.contains(humidity) else {
            throw SensorFault("it says \(humidity) % humidity, which cannot be")
        }
        guard Self.temperatures.contains(celsius) else {
            throw SensorFault("it says \(celsius) °C, which it cannot measure: -40 to 80")
        }
        self.humidity = humidity
        self.celsius = celsius
    }
}
