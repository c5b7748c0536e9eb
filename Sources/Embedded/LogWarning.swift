/// A line of hub's or agent's log that a person should see at once.
struct LogWarning {
    /// Without time and program.
    let text: String

    /// Nil unless `line` is one of swift-log's, `2026-01-31T12:00:00+0000 warning hub: …`, of level warning or above, or
    /// what a command says before it gives up, `Error: …`.
    init?(_ line: String) {
        if line.hasPrefix("Error: ") {
            text = line
            return
        }
        let words = line.split(separator: " ", maxSplits: 3)
        guard words.count == 4, ["warning", "error", "critical"].contains(words[1]), words[2].hasSuffix(":") else {
            return nil
        }
        text = "\(words[1]): \(words[3])"
    }
}
