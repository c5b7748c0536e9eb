import SimdJSON

/// Figures as people read and write them.
enum Figure {
    /// Powers of 1024, as the kernel and `ps` count.
    static let byteUnits: [(name: String, factor: Double)] = [
        ("KiB", 0x1p10), ("MiB", 0x1p20), ("GiB", 0x1p30), ("TiB", 0x1p40), ("K", 0x1p10), ("M", 0x1p20), ("G", 0x1p30),
        ("T", 0x1p40), ("B", 1),
    ]
    static let secondUnits: [(name: String, factor: Double)] = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)]

    /// A number with or without a unit; nil where it is none.
    static func parse(_ text: String, units: [(name: String, factor: Double)]) -> Double? {
        let unit = units.first { text.hasSuffix($0.name) }
        var digits = text.dropLast(unit?.name.count ?? 0)
        while digits.last == " " { digits.removeLast() }
        return Double(digits).flatMap { $0.isNaN ? nil : $0 * (unit?.factor ?? 1) }
    }

    /// `52.3 MiB`
    static func bytes(_ number: Int64) -> String {
        var value = Double(number)
        var unit = "B"
        // What would be rounded to 1024 of one is one of the next.
        for next in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] where value >= 1023.95 {
            value /= 1_024
            unit = next
        }
        return unit == "B" ? "\(number) B" : "\(short(value)) \(unit)"
    }

    /// `2 d 03 h`: the greatest two parts.
    static func seconds(_ number: Double) -> String {
        guard number.isFinite, number >= 0, number < 1e12 else { return "" }
        let seconds = Int(number)
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        switch seconds {
        case ..<60: return "\(seconds) s"
        case ..<3_600: return "\(seconds / 60) min \(two(seconds % 60)) s"
        case ..<86_400: return "\(seconds / 3_600) h \(two(seconds % 3_600 / 60)) min"
        default: return "\(seconds / 86_400) d \(two(seconds % 86_400 / 3_600)) h"
        }
    }

    /// One place after the point.
    static func short(_ number: Double) -> String {
        guard number.isFinite, abs(number) < 1e15 else { return "\(number)" }
        let tenths = Int((abs(number) * 10).rounded())
        return "\(number < 0 && tenths > 0 ? "-" : "")\(tenths / 10).\(tenths % 10)"
    }

    /// `73.2 %`, nothing for null.
    static func percent(_ value: JSON?) -> String { value?.double.map { "\(short($0)) %" } ?? "" }

    /// `9.1 GiB of 15.6 GiB`, nothing for null.
    static func part(_ part: JSON?, of whole: JSON?) -> String {
        guard let part = part?.int else { return "" }
        return bytes(part) + (whole?.int.map { " of \(bytes($0))" } ?? "")
    }
}
