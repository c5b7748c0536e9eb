/// Words of a connection string as libpq has them, each `key=value`.
func connectionString(_ words: KeyValuePairs<String, String>) -> String {
    func quoted(_ value: String) -> String {
        guard value.isEmpty || value.contains(where: { $0.isWhitespace || $0 == "'" || $0 == "\\" }) else {
            return value
        }
        return "'\(escaped(value, ["'", "\\"]))'"
    }
    return words.map { "\($0.key)=\(quoted($0.value))" }.joined(separator: " ")
}

/// The psql command that connects to `target`, as it can be pasted into a shell.
func psqlCommand(_ target: String) -> String {
    "psql \"\(escaped(target, ["\\", "\"", "$", "`"]))\""
}

private func escaped(_ text: String, _ special: Set<Character>) -> String {
    String(text.flatMap { special.contains($0) ? ["\\", $0] : [$0] })
}
