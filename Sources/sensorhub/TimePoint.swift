import ArgumentParser
import Glibc

/// A moment that a person names: so long ago, or a date with or without a time.
struct TimePoint: ExpressibleByArgument {
    let microseconds: Int64

    static let rule = "times are as 90s, 15m, 2h, 3d or 1w (ago), 2026-11-20, '2026-11-20 14:03', 2026-11-20T14:03:07Z"

    private static let secondsOf: [Character: Int64] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800]

    init?(argument: String) {
        if let unit = argument.last.flatMap({ Self.secondsOf[$0] }), let count = Int64(argument.dropLast()),
            (0...1_000_000_000).contains(count)
        {
            var now = timespec()
            clock_gettime(CLOCK_REALTIME, &now)
            microseconds = max(0, (Int64(now.tv_sec) - count * unit) * 1_000_000 + Int64(now.tv_nsec) / 1_000)
            return
        }
        let isUniversal = argument.hasSuffix("Z")
        let text = isUniversal ? argument.dropLast() : argument[...]
        let halves = text.split(maxSplits: 1, omittingEmptySubsequences: false) { $0 == " " || $0 == "T" }
        // Midnight, where no time is given.
        let clock = halves.count == 2 ? halves[1] : "00:00"
        guard let date = Self.numbers(halves[0], separator: "-", digits: [4, 2, 2]),
            let time = Self.numbers(clock, separator: ":", digits: clock.utf8.count == 5 ? [2, 2] : [2, 2, 2])
        else { return nil }
        var parts = tm()
        (parts.tm_year, parts.tm_mon, parts.tm_mday) = (date[0] - 1_900, date[1] - 1, date[2])
        (parts.tm_hour, parts.tm_min) = (time[0], time[1])
        if time.count == 3 { parts.tm_sec = time[2] }
        guard (0...11).contains(parts.tm_mon), (0...23).contains(parts.tm_hour), (0...59).contains(parts.tm_min),
            (0...59).contains(parts.tm_sec)
        else { return nil }
        // Whether it is summer there, the C library finds out.
        parts.tm_isdst = -1
        let seconds = isUniversal ? timegm(&parts) : mktime(&parts)
        // 31 April would have become 1 May.
        guard parts.tm_mday == date[2], (0...4_102_444_800).contains(seconds) else { return nil }
        microseconds = Int64(seconds) * 1_000_000
    }

    /// Reads numbers of so many digits each.
    private static func numbers(_ text: Substring, separator: Character, digits: [Int]) -> [Int32]? {
        let words = text.split(separator: separator, omittingEmptySubsequences: false)
        guard words.map(\.utf8.count) == digits else { return nil }
        let numbers = words.compactMap { $0.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int32($0) : nil }
        return numbers.count == digits.count ? numbers : nil
    }
}

/// What every command that looks into the past takes.
struct TimeOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "From then on: 2h (ago; s, m, h, d, w), 2026-11-20 or '2026-11-20 14:03', with Z at the end in UTC.",
            valueName: "time"))
    var since: TimePoint?
    @Option(help: ArgumentHelp("Up to then, in the same ways.", valueName: "time"))
    var until: TimePoint?

    func validate() throws {
        if let since, let until, until.microseconds < since.microseconds {
            throw ValidationError("--until is before --since")
        }
    }

    var isGiven: Bool { since != nil || until != nil }
}
