/// What a person wants of one numeric field: a member of the instance's attribute `fields`.
///
///     "fields": {"temperature_celsius": {"precision": 1, "delta": 0.2, "range": [-40, 85], "warning": [5, 30],
///                                        "error": [0, 40], "stuck_after_seconds": 3600}}
struct FieldRule: Sendable, Hashable {
    /// Bounds, in the field's unit, of which one may be open.
    struct Bounds: Sendable, Hashable {
        let lower: Double?
        let upper: Double?

        func contains(_ value: Double) -> Bool { value >= lower ?? -.infinity && value <= upper ?? .infinity }

        /// By so much that noise around a bound does not count as a return.
        func contains(_ value: Double, margin: Double) -> Bool {
            value >= (lower ?? -.infinity) + margin && value <= (upper ?? .infinity) - margin
        }

        func encloses(_ other: Bounds) -> Bool {
            (other.lower ?? -.infinity) >= lower ?? -.infinity && (other.upper ?? .infinity) <= upper ?? .infinity
        }

        var description: String {
            switch (lower, upper) {
            case (let lower?, let upper?): "\(lower) to \(upper)"
            case (let lower?, nil): "\(lower) or more"
            case (nil, let upper?): "\(upper) or less"
            case (nil, nil): "anything"
            }
        }
    }

    /// How many digits after the point are kept; nil for all.
    var precision: Int?
    /// A change that is smaller is not worth a reading; nil where each one is.
    var delta: Double?
    /// What can be at all: a value outside is no measurement.
    var range: Bounds?
    /// What is normal: outside it is a warning.
    var warning: Bounds?
    /// Outside this it is an error.
    var error: Bounds?
    /// A value that has been exactly the same for so long is taken for a sensor that is stuck.
    var stuckAfter: Duration?

    init(_ reader: DocumentReader) throws(ValidationError) {
        try reader.allowOnly(["precision", "delta", "range", "warning", "error", "stuck_after_seconds"])
        precision = try reader.optional("precision").map { (value) throws(ValidationError) in Int(try value.int(0...9))
        }
        if let value = try reader.optional("delta") {
            let delta = try value.double()
            guard delta > 0, delta.isFinite else { throw value.error("must be more than 0, is \(delta)") }
            self.delta = delta
        }
        range = try reader.optional("range").map(Self.bounds)
        warning = try reader.optional("warning").map(Self.bounds)
        error = try reader.optional("error").map(Self.bounds)
        if let value = try reader.optional("stuck_after_seconds") {
            stuckAfter = .seconds(try value.int(1...31_536_000))
        }
        for (inner, outer, names) in [
            (warning, error, ("warning", "error")), (error, range, ("error", "range")),
            (warning, range, ("warning", "range")),
        ] {
            if let inner, let outer, !outer.encloses(inner) {
                throw reader.error(
                    "'\(names.0)' (\(inner.description)) reaches beyond '\(names.1)' (\(outer.description))")
            }
        }
    }

    /// `[lower, upper]`, of which one may be null.
    private static func bounds(_ reader: DocumentReader) throws(ValidationError) -> Bounds {
        let items = try reader.items()
        guard items.count == 2 else { throw reader.error("expected [lower, upper], one of which may be null") }
        var ends: [Double?] = []
        for item in items { ends.append(item.value == .null ? nil : try item.double()) }
        if let lower = ends[0], let upper = ends[1], lower >= upper {
            throw reader.error("the lower bound \(lower) is not below the upper bound \(upper)")
        }
        guard ends.contains(where: { $0 != nil }) else { throw reader.error("says nothing: both bounds are null") }
        return Bounds(lower: ends[0], upper: ends[1])
    }

    /// The value as it is published.
    func rounded(_ value: Double) -> Double {
        guard let precision else { return value }
        var factor = 1.0
        for _ in 0..<precision { factor *= 10 }
        let scaled = value * factor
        // Beyond that a double has no digits after the point to round.
        return abs(scaled) < 9_007_199_254_740_992 ? scaled.rounded() / factor : value
    }

    /// How serious a value is.
    ///
    /// - Parameter former: how serious the one before it was: a level is left only when the value is inside its bounds by
    ///   `delta`.
    func level(of value: Double, after former: FieldAlert.Level) -> FieldAlert.Level {
        let margin = delta ?? 0
        func isOutside(_ bounds: Bounds?, _ level: FieldAlert.Level) -> Bool {
            guard let bounds else { return false }
            return former >= level ? !bounds.contains(value, margin: margin) : !bounds.contains(value)
        }
        if isOutside(error, .error) { return .error }
        if isOutside(warning, .warning) { return .warning }
        return .normal
    }
}
