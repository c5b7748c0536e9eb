/// A package that an algorithm needs, as pip reads it: a name, perhaps extras, perhaps versions. No options, no paths, no
/// addresses, which pip would follow.
public enum Requirement {
    /// Reads a requirements.txt: a package a line, comments and empty lines left out.
    ///
    /// - Throws: `ValidationError` with the line, also for what pip would take: options, paths, addresses, markers.
    public static func file(_ text: String, name: String) throws(ValidationError) -> [String] {
        var requirements: [String] = []
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let content = line.prefix { $0 != "#" }.filter { !$0.isWhitespace }
            guard !content.isEmpty else { continue }
            guard isValid(content) else {
                throw ValidationError(
                    path: "\(name): line \(index + 1)",
                    "'\(line.prefix(80))' is no PyPI package with a version, such as numpy==2.0.0")
            }
            requirements.append(content)
        }
        return requirements
    }

    /// Reads a list of `"name"`, `"name==version"` or `["name", "version"]`.
    static func list(_ reader: DocumentReader) throws(ValidationError) -> [String] {
        var requirements: [String] = []
        for item in try reader.items() {
            requirements.append(try one(item))
        }
        return requirements
    }

    private static func one(_ reader: DocumentReader) throws(ValidationError) -> String {
        var text: String
        if reader.value.array != nil {
            let items = try reader.items()
            guard (1...2).contains(items.count) else { throw reader.error("expected [name, version]") }
            text = try items[0].nonEmptyString()
            let version = items.count == 2 ? try items[1].string() : ""
            if !version.isEmpty { text += "==\(version)" }
        } else {
            text = try reader.nonEmptyString()
        }
        guard isValid(text) else { throw reader.error("'\(text.prefix(80))' is no PyPI package with a version") }
        return text
    }

    /// `name[extra,extra]==1.0,<2`: the grammar of PEP 508 without white space, markers and URLs. By hand, because drivers
    /// share this module and a regular expression would cost each of them a megabyte.
    static func isValid(_ text: String) -> Bool {
        guard text.utf8.count <= 128 else { return false }
        var rest = Array(text.utf8)[...]
        guard let first = rest.first, isLetterOrDigit(first), take(&rest, isNameByte) else { return false }
        if rest.first == UInt8(ascii: "[") {
            rest.removeFirst()
            guard take(&rest, { isNameByte($0) || $0 == UInt8(ascii: ",") }), rest.first == UInt8(ascii: "]") else {
                return false
            }
            rest.removeFirst()
        }
        guard !rest.isEmpty else { return true }
        return rest.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false).allSatisfy(isVersion)
    }

    private static func isVersion(_ bytes: ArraySlice<UInt8>) -> Bool {
        var rest = bytes
        let comparisons = ["==", ">=", "<=", "~=", "!=", "<", ">"]
        guard let comparison = comparisons.first(where: { rest.starts(with: $0.utf8) }) else { return false }
        rest.removeFirst(comparison.utf8.count)
        return take(&rest) { isLetterOrDigit($0) || ".*+!".utf8.contains($0) } && rest.isEmpty
    }

    /// Takes as many bytes as are allowed; false where there is none.
    private static func take(_ rest: inout ArraySlice<UInt8>, _ isAllowed: (UInt8) -> Bool) -> Bool {
        let count = rest.prefix(while: isAllowed).count
        rest.removeFirst(count)
        return count > 0
    }

    private static func isNameByte(_ byte: UInt8) -> Bool { isLetterOrDigit(byte) || "._-".utf8.contains(byte) }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }
}
