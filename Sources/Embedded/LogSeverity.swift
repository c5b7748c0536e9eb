/// How urgent a line is that hub or agent wrote.
enum LogSeverity {
    /// True for a line of swift-log's, `2026-01-31T12:00:00+0000 warning hub: …`, of level warning or above.
    static func isAlarming(_ line: String) -> Bool {
        let words = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: true).prefix(3)
        return words.contains { word in
            ["warning", "error", "critical"].contains(word.filter(\.isLetter).lowercased())
        }
    }
}
