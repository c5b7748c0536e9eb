import HubModel

/// How long readings are kept.
struct Retention {
    /// Nil for ever.
    let hours: Int64?

    private static let units: [(name: Character, hours: Int64)] = [("y", 365 * 24), ("w", 7 * 24), ("d", 24), ("h", 1)]

    init(hours: Int64?) {
        self.hours = hours
    }

    /// Reads `12h`, `30d`, `8w`, `2y` or `forever`.
    init(_ reader: DocumentReader) throws(ValidationError) {
        let word = try reader.string()
        if word == "forever" {
            self.init(hours: nil)
            return
        }
        guard let unit = Self.units.first(where: { $0.name == word.last }), let number = Int64(word.dropLast()),
            (1...100_000).contains(number)
        else {
            throw reader.error("'\(word.prefix(80))' is no time to keep readings: such as 12h, 30d, 8w, 2y, or forever")
        }
        self.init(hours: number * unit.hours)
    }

    /// As a person would write it.
    var text: String {
        guard let hours else { return "forever" }
        let unit = Self.units.first { hours % $0.hours == 0 }!
        return "\(hours / unit.hours)\(unit.name)"
    }
}
