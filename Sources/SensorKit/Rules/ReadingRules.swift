/// What a person wants of a sensor's readings, from the instance's attributes `fields` and `max_silence_seconds`: which are
/// worth publishing, which cannot be, and which are a reason for alarm. A state machine without I/O: it is given what was
/// measured, and says what becomes of it.
struct ReadingRules {
    static let attributes = ["fields", "max_silence_seconds"]

    /// What is known of a field that has a rule.
    private struct Watched {
        let rule: FieldRule
        var level = FieldAlert.Level.normal
        /// The value last measured, and since when it has been exactly that.
        var last: (value: Double, since: Instant)?
        var alert: FieldAlert?

        mutating func take(_ name: String, _ value: Double, at now: Instant) {
            if last?.value != value { last = (value, now) }
            level = rule.level(of: value, after: level)
            alert = nil
            if level != .normal, let bounds = level == .error ? rule.error : rule.warning {
                // Without the value: it would be another message at each reading.
                alert = FieldAlert(field: name, level: level, reason: "\(name) is not \(bounds.description)")
            } else if let limit = rule.stuckAfter, let last, now - last.since >= limit {
                let seconds = limit.nanoseconds / 1_000_000_000
                alert = FieldAlert(
                    field: name, level: .warning,
                    reason: "\(name) has been exactly \(value) for more than \(seconds) s: is the sensor stuck?")
            }
        }
    }

    private var watched: [String: Watched] = [:]
    private let maximumSilence: Duration
    /// True where a reading may be left out at all.
    private let isSelective: Bool
    private var published: (values: JSONObject, at: Instant)?

    /// The fields that are not as they should be, by name.
    var alerts: [FieldAlert] {
        watched.values.compactMap(\.alert).sorted { $0.field < $1.field }
    }

    /// - Throws: `ValidationError` with the place in the attributes.
    init(_ attributes: DocumentReader, type: SensorType) throws(ValidationError) {
        maximumSilence = .seconds(try attributes.optional("max_silence_seconds")?.int(1...86_400) ?? 300)
        for (name, reader) in try attributes.optional("fields")?.members() ?? [] {
            guard let field = type.field(name) else {
                let names = type.fields.map(\.name)
                throw reader.error("type '\(type.name)' has no such field\(didYouMean(name, among: names))")
            }
            guard field.type == .float || field.type == .int else {
                throw reader.error("is \(field.type.rawValue): there are rules for numbers only")
            }
            watched[name] = Watched(rule: try FieldRule(reader))
        }
        isSelective = watched.values.contains { $0.rule.delta != nil }
    }

    /// Takes what was measured.
    ///
    /// - Returns: what is to be published; nil where the reading says nothing new.
    /// - Throws: `SensorFault` for a value that cannot be.
    mutating func take(_ values: JSONObject, at now: Instant) throws(SensorFault) -> JSONObject? {
        guard !watched.isEmpty else { return values }
        // First all that can be refused, so that a refused reading leaves nothing behind.
        for member in values {
            guard let rule = watched[member.key]?.rule, let number = member.value.double else { continue }
            if let range = rule.range, !range.contains(number) {
                throw SensorFault(
                    "\(member.key) is \(number), and can only be \(range.description): that is no measurement")
            }
        }
        var result = JSONObject()
        for member in values {
            guard var field = watched[member.key], let number = member.value.double else {
                result[member.key] = member.value
                continue
            }
            field.take(member.key, number, at: now)
            watched[member.key] = field
            if case .double = member.value {
                result[member.key] = .double(field.rule.rounded(number))
            } else {
                result[member.key] = member.value
            }
        }
        guard isWorthPublishing(result, at: now) else { return nil }
        published = (result, now)
        return result
    }

    /// A reading is left out while each field with a `delta` is within it of what was last published, nothing else but
    /// numbers without one has changed, and the silence is not too long.
    private func isWorthPublishing(_ values: JSONObject, at now: Instant) -> Bool {
        guard isSelective, let published, now - published.at < maximumSilence,
            values.count == published.values.count
        else { return true }
        return values.contains { member in
            guard let former = published.values[member.key] else { return true }
            guard let number = member.value.double, let last = former.double else { return member.value != former }
            guard let delta = watched[member.key]?.rule.delta else { return false }
            return abs(number - last) >= delta
        }
    }
}
