import ArgumentParser
import HubModel
import SimdJSON

/// A column of a list, and a member of each object of its JSON.
struct Column: Sendable {
    enum Content: Sendable {
        case text
        case number
        /// Shown as a person reads sizes; a condition may say 50M.
        case bytes
        /// A length of time; a condition may say 90s or 2h.
        case seconds
        /// Microseconds since 1970; shown in the machine's own zone.
        case time
        /// One of these.
        case words([String])
    }

    let name: String
    let content: Content
    /// Whether it is shown without being asked for.
    let isUsual: Bool
    /// What it is made of, where it is no member of the hub's object.
    private let compute: (@Sendable (JSON) -> JSON)?
    /// What is shown to people, where it is more than the value.
    private let describe: (@Sendable (JSON) -> String)?

    init(
        _ name: String, _ content: Content = .text, isUsual: Bool = true,
        compute: (@Sendable (JSON) -> JSON)? = nil, text describe: (@Sendable (JSON) -> String)? = nil
    ) {
        self.name = name
        self.content = content
        self.isUsual = isUsual
        self.compute = compute
        self.describe = describe
    }

    func value(of item: JSON) -> JSON { compute?(item) ?? item[name] ?? .null }

    func text(of item: JSON) -> String {
        if let describe { return describe(item) }
        let value = value(of: item)
        switch content {
        case .time: return value.int.map { localTime(microseconds: $0) } ?? ""
        case .bytes: return value.int.map { Figure.bytes($0) } ?? ""
        case .seconds: return value.double.map { Figure.seconds($0) } ?? ""
        case .text, .number, .words: break
        }
        return value.object != nil ? value.pairs : value.plain
    }
}

/// What every command that prints a list takes.
struct ListOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The columns to show, in this order.", valueName: "name,…"))
    var columns: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Sort by these columns; with '-' before a name, the greatest first.", valueName: "[-]name,…"))
    var sort: String?

    @Option(
        name: .customLong("where"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Only rows for which this is so, such as state=RUNNING or 'runs>3': = != > >= < <= and ~ for 'contains'. May "
                + "be given more than once; all must be so.",
            valueName: "condition"))
    var conditions: [String] = []

    @Flag(name: .customLong("no-header"), help: "Print the rows alone, nothing where there are none.")
    var isHeaderless = false
}

/// Columns, conditions and order of a list, as a person asked for them.
struct Listing {
    private let shown: [Column]
    private let areColumnsNamed: Bool
    private let conditions: [RowCondition]
    private let order: [(column: Column, isDescending: Bool)]
    private let isHeaderless: Bool

    /// - Throws: `ValidationError` for a column that is not there, and a condition that is none.
    init(_ options: ListOptions, of columns: [Column]) throws {
        areColumnsNamed = options.columns != nil
        shown =
            try options.columns.map { try names($0).map { try column($0, among: columns) } }
            ?? columns.filter(\.isUsual)
        var seen: Set<String> = []
        if let twice = shown.first(where: { !seen.insert($0.name).inserted }) {
            throw ArgumentParser.ValidationError("the column '\(twice.name)' is named twice")
        }
        order = try (options.sort.map { try names($0) } ?? []).map { name in
            let isDescending = name.hasPrefix("-")
            return (try column(isDescending ? String(name.dropFirst()) : name, among: columns), isDescending)
        }
        conditions = try options.conditions.map { try RowCondition($0, columns) }
        isHeaderless = options.isHeaderless
    }

    /// Those that fulfil the conditions, sorted.
    func select(_ items: [JSON]) -> [JSON] {
        items.filter { item in conditions.allSatisfy { $0.isFulfilled(by: item) } }.enumerated()
            .sorted { left, right in
                for key in order {
                    let a = key.column.value(of: left.element), b = key.column.value(of: right.element)
                    // What has no value comes last, whichever way the others go.
                    if isMissing(a) || isMissing(b) {
                        if isMissing(a) != isMissing(b) { return isMissing(b) }
                    } else if precedes(a, b) != precedes(b, a) {
                        return precedes(a, b) != key.isDescending
                    }
                }
                return left.offset < right.offset
            }.map(\.element)
    }

    /// Prints a reply's list, which is its member `name`. As JSON, the reply has the rows that were selected, with the
    /// columns that were named, or all that the hub tells.
    func show(_ reply: JSON, _ name: String, _ options: HubOptions, whenEmpty message: String) throws {
        let rows = select(reply[name]?.array ?? [])
        var selected = reply
        if case .object(var object) = reply, object[name] != nil {
            object[name] = .array(
                !areColumnsNamed
                    ? rows
                    : rows.map { row in
                        .object(JSONObject(shown.map { ($0.name, $0.value(of: row)) }))
                    })
            selected = .object(object)
        }
        try options.show(selected) { _ in
            var table = Table(shown.map { $0.name.replacing("_", with: " ") })
            for row in rows { table.add(shown.map { $0.text(of: row) }) }
            if isHeaderless {
                table.lines.dropFirst().forEach { print($0) }
            } else {
                table.print(whenEmpty: conditions.isEmpty ? message : "none is like that")
            }
        }
    }
}

/// A condition such as `runs>3`.
private struct RowCondition {
    /// The longer ones first: `>=` begins with `>`.
    private enum Operator: String, CaseIterable {
        case notEqual = "!=", atLeast = ">=", atMost = "<=", equal = "=", greater = ">", less = "<", contains = "~"

        func holds(_ isLess: Bool, _ isGreater: Bool) -> Bool {
            switch self {
            case .equal: !isLess && !isGreater
            case .notEqual: isLess || isGreater
            case .greater: isGreater
            case .atLeast: !isLess
            case .less: isLess
            case .atMost: !isGreater
            case .contains: false
            }
        }
    }

    private let column: Column
    private let `operator`: Operator
    private let operand: String
    /// Where the column holds numbers or times.
    private let number: Double?

    init(_ text: String, _ columns: [Column]) throws {
        guard let begin = text.firstIndex(where: { "!=<>~".contains($0) }),
            let found = Operator.allCases.first(where: { text[begin...].hasPrefix($0.rawValue) })
        else {
            throw ArgumentParser.ValidationError(
                "'\(text)' is no condition: it has a column, one of = != > >= < <= ~, and a value, as in state=RUNNING")
        }
        column = try sensorhub.column(trimmed(text[..<begin]), among: columns)
        `operator` = found
        let value = trimmed(text[begin...].dropFirst(found.rawValue.count))
        var operand = value
        var number: Double?
        // A part of the text is looked for, whatever the column holds; nothing stands for no value.
        if found != .contains, !value.isEmpty {
            switch column.content {
            case .text: break
            case .number:
                number = Double(value).flatMap { $0.isNaN ? nil : $0 }
                guard number != nil else {
                    throw ArgumentParser.ValidationError(
                        "\(text): '\(column.name)' is a number, and '\(value)' is none")
                }
            case .bytes:
                number = Figure.parse(value, units: Figure.byteUnits)
                guard number != nil else {
                    throw ArgumentParser.ValidationError(
                        "\(text): '\(column.name)' is a size such as 50M, 1.5G or 4096, and '\(value)' is none")
                }
            case .seconds:
                number = Figure.parse(value, units: Figure.secondUnits)
                guard number != nil else {
                    throw ArgumentParser.ValidationError(
                        "\(text): '\(column.name)' is a length of time such as 90, 5m or 2h, and '\(value)' is none")
                }
            case .time:
                guard let time = TimePoint(argument: value) else {
                    throw ArgumentParser.ValidationError("\(text): '\(value)' is no time; \(TimePoint.rule)")
                }
                number = Double(time.microseconds)
            case .words(let words):
                guard let word = words.first(where: { $0.lowercased() == value.lowercased() }) else {
                    let hint = didYouMean(value, among: words)
                    throw ArgumentParser.ValidationError(
                        "\(text): '\(column.name)' is one of \(words.joined(separator: ", "))\(hint)")
                }
                operand = word
            }
        }
        if value.isEmpty, found != .equal, found != .notEqual {
            throw ArgumentParser.ValidationError("\(text): a value is missing after '\(found.rawValue)'")
        }
        self.operand = operand
        self.number = number
    }

    func isFulfilled(by item: JSON) -> Bool {
        let value = column.value(of: item)
        if isMissing(value) || operand.isEmpty {
            switch `operator` {
            case .equal: return isMissing(value) && operand.isEmpty
            case .notEqual: return isMissing(value) != operand.isEmpty
            default: return false
            }
        }
        if `operator` == .contains {
            return (value.array ?? [value]).contains { $0.plain.lowercased().contains(operand.lowercased()) }
        }
        if let number {
            guard let own = value.double else { return false }
            return `operator`.holds(own < number, own > number)
        }
        // Of a list, one has to be so; or for '!=', none.
        let texts = (value.array ?? [value]).map(\.plain)
        if `operator` == .notEqual { return !texts.contains(operand) }
        return texts.contains { `operator`.holds($0 < operand, $0 > operand) }
    }
}

private func names(_ text: String) throws -> [String] {
    let names = text.split(separator: ",", omittingEmptySubsequences: false).map { trimmed($0) }
    guard !names.contains("") else { throw ArgumentParser.ValidationError("'\(text)': a name is missing") }
    return names
}

private func column(_ name: String, among columns: [Column]) throws -> Column {
    if let column = columns.first(where: { $0.name == name }) { return column }
    let known = columns.map(\.name)
    throw ArgumentParser.ValidationError(
        "there is no column '\(name)'\(didYouMean(name, among: known)): there are \(known.joined(separator: ", "))")
}

private func trimmed(_ text: Substring) -> String {
    var text = text
    while text.first == " " { text.removeFirst() }
    while text.last == " " { text.removeLast() }
    return String(text)
}

private func isMissing(_ value: JSON) -> Bool {
    value == .null || value.array?.isEmpty == true || value.string?.isEmpty == true
}

private func precedes(_ left: JSON, _ right: JSON) -> Bool {
    if let left = left.double, let right = right.double { return left < right }
    return left.plain < right.plain
}
