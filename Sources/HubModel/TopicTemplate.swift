/// A topic with placeholders, as `thing/{DEVICE_ID}/app_manager/install_app`.
public struct TopicTemplate: Sendable, Hashable {
    public let text: String
    private let levels: [Substring]

    /// A template in which each of `needs` is a level of its own, once, and nothing else is a placeholder: so a device's
    /// topics are its alone.
    init(_ text: String, needs: [String], _ place: DocumentReader) throws(ValidationError) {
        try self.init(text, place)
        let found = levels.filter { $0.contains("{") || $0.contains("}") }.map(String.init)
        guard found.sorted() == needs.map({ "{\($0)}" }).sorted() else {
            throw place.error(
                "'\(text.prefix(80))' must have \(needs.map { "{\($0)}" }.joined(separator: " and ")), each as a level of "
                    + "its own, and no other placeholder")
        }
    }

    /// The topic of an announcement: placeholders of an app may stand anywhere in it, or not at all.
    init(_ text: String, announcedAt place: DocumentReader) throws(ValidationError) {
        try self.init(text, place)
        let left = fillPlaceholders(text) { ["DEVICE_ID", "APP_ID"].contains($0) ? "x" : nil }
        guard !left.contains("{"), !left.contains("}") else {
            throw place.error("'\(text.prefix(80))': a topic may have {DEVICE_ID} and {APP_ID} in it")
        }
    }

    private init(_ text: String, _ place: DocumentReader) throws(ValidationError) {
        self.text = text
        levels = text.split(separator: "/", omittingEmptySubsequences: false)
        guard !text.isEmpty, text.utf8.count <= 256, !text.contains("+"), !text.contains("#"),
            !text.unicodeScalars.contains(where: { $0.value < 0x20 })
        else {
            throw place.error("'\(text.prefix(80))' is no topic: no '+', '#' or control characters, 256 bytes at most")
        }
        // The hub's own topics have rights of their own; those with $ are the broker's.
        guard !text.hasPrefix("$"), levels[0] != "sensorhub", !levels[0].contains("{") else {
            throw place.error("'\(text.prefix(80))' must not begin with '$', with 'sensorhub/' or with a placeholder")
        }
    }

    /// The topic with values for its placeholders, which must be ids.
    public func filled(_ values: [String: String]) -> String {
        fillPlaceholders(text) { values[String($0)] }
    }

    /// A topic filter: what has no value in `values` is `+`.
    public func filter(_ values: [String: String] = [:]) -> String {
        levels.map { level in
            let filled = fillPlaceholders(String(level)) { values[String($0)] }
            return filled.contains("{") ? "+" : filled
        }.joined(separator: "/")
    }

    /// What the placeholders stand for in `topic`; nil where that has another form.
    func match(_ topic: String) -> [String: String]? {
        let parts = topic.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == levels.count else { return nil }
        var values: [String: String] = [:]
        for (level, part) in zip(levels, parts) {
            if level.hasPrefix("{") {
                values[String(level.dropFirst().dropLast())] = String(part)
            } else if level != part {
                return nil
            }
        }
        return values
    }

    public static func == (left: TopicTemplate, right: TopicTemplate) -> Bool { left.text == right.text }
    public func hash(into hasher: inout Hasher) { hasher.combine(text) }
}
