import Glibc
import SensorKit

/// Finding the lines of a request.
extension GPIOChip {
    /// The chip that has all of the lines, and their offsets.
    static func find(_ lines: [LineReference]) throws(SensorFault) -> (GPIOChip, offsets: [Int]) {
        var found: (chip: GPIOChip, offsets: [Int])?
        for line in lines {
            let (chip, offset) = try find(line)
            if let known = found {
                guard known.chip.path == chip.path else {
                    throw SensorFault(
                        """
                        the lines must be on one chip: \(lines[0]) is on \(known.chip.title), \(line) on \(chip.title)
                        """)
                }
                guard !known.offsets.contains(offset) else { throw SensorFault("line \(line) is named twice") }
                found = (known.chip, known.offsets + [offset])
            } else {
                found = (chip, [offset])
            }
        }
        guard let found else { throw SensorFault("no line is named") }
        return (found.chip, found.offsets)
    }

    private static func find(_ line: LineReference) throws(SensorFault) -> (GPIOChip, Int) {
        switch line {
        case .offset(let offset, let reference):
            let chip = try find(reference)
            guard offset < chip.lineCount else {
                throw SensorFault("there is no line \(offset) on \(chip.title), which has 0 to \(chip.lineCount - 1)")
            }
            return (chip, offset)
        case .name(let name): return try find(name: name)
        }
    }

    private static func find(name: String) throws(SensorFault) -> (GPIOChip, Int) {
        let (chips, fault) = all()
        var matches: [(chip: GPIOChip, offset: Int)] = []
        var names: [String] = []
        for chip in chips {
            for offset in 0..<chip.lineCount {
                let line = try chip.line(offset)
                if line.name == name { matches.append((chip, offset)) }
                if !line.name.isEmpty { names.append(line.name) }
            }
        }
        if matches.count == 1 { return matches[0] }
        guard matches.isEmpty else {
            let list = matches.map { "\($0.offset) of \($0.chip.title)" }.joined(separator: ", ")
            throw SensorFault(
                "'\(name)' is the name of \(matches.count) GPIO lines: \(list); say which by chip and offset")
        }
        if let fault { throw fault }
        guard !chips.isEmpty else { throw SensorFault("there is no GPIO line '\(name)', and no GPIO chip") }
        throw SensorFault("there is no GPIO line '\(name)'" + others(names) + didYouMean(name, among: names))
    }

    private static func others(_ names: [String]) -> String {
        guard !names.isEmpty else { return "; no line here has a name, so say which by chip and offset" }
        let shown = names.prefix(40).joined(separator: ", ")
        return "; there are: \(shown)\(names.count > 40 ? " and \(names.count - 40) more" : "")"
    }

    /// Why the lines could not be taken: `code` is from `errno`.
    func fault(_ code: Int32, taking offsets: [Int], for direction: LineRequest.Direction) -> SensorFault {
        for offset in offsets {
            guard let line = try? line(offset), line.isUsed else { continue }
            let holder = line.consumer.isEmpty ? "somebody who does not say who" : "'\(line.consumer)'"
            return SensorFault("\(title(of: line)) is in use by \(holder)")
        }
        let lines = offsets.map { "\($0)" }.joined(separator: ", ")
        if case .input(let edges) = direction, edges != .none, code == ENODEV || code == ENXIO {
            return SensorFault(
                """
                \(title), line \(lines): the kernel has no edges of it (\(String(cString: strerror(code)))), as with a \
                port expander whose pin INT is not connected; digital_input and pulse_counter can look at it at times \
                instead: "poll_ms": 20
                """)
        }
        return SensorFault("\(title), line \(lines): \(String(cString: strerror(code)))")
    }

    private func title(of line: Line) -> String {
        "line \(line.offset)" + (line.name.isEmpty ? "" : " '\(line.name)'") + " of \(title)"
    }
}
