import Glibc

/// Turns what a program writes into lines, in batches. It keeps little, however much and whatever the program writes:
/// long lines are cut, and of a flood of lines only as many are taken as `Allowance` says. The rest are counted, or the
/// program has to wait with them.
package struct OutputBuffer {
    package static let maximumLineBytes = 8 << 10
    package static let batchLines = 100

    /// How much may be written: so many lines in one go, and after that so many a second. A line of more than 1 KiB counts
    /// once more for each.
    struct Allowance {
        static let burst = 20_000.0
        private let perSecond: Double
        private var left = burst
        private var since: Int64 = 0

        init(_ overflow: OutputOverflow) {
            perSecond = overflow == .held ? 2_000 : 500
        }

        /// - Parameters:
        ///   - isDue: true for a line that is taken in any case, and makes the next ones wait.
        ///   - time: microseconds since 1970; a clock that is set back gives nothing.
        mutating func take(_ bytes: Int, isDue: Bool, at time: Int64) -> Bool {
            refill(at: time)
            let cost = 1 + Double(bytes >> 10)
            guard isDue || left >= cost else { return false }
            left -= cost
            return true
        }

        /// How long until there is a line to take.
        mutating func pause(at time: Int64) -> Duration {
            refill(at: time)
            return left >= 1 ? .zero : .seconds((1 - left) / perSecond)
        }

        private mutating func refill(at time: Int64) {
            if time > since { left = min(Self.burst, left + Double(time - since) / 1e6 * perSecond) }
            since = time
        }
    }

    private var lines: [OutputLine] = []
    private var unfinished: [OutputLine.Stream: UnfinishedLine] = [:]
    private let overflow: OutputOverflow
    private var allowance: Allowance
    /// The second (since 1970) in which lines were dropped last.
    private var second: Int64 = 0
    private var dropped = 0
    /// How much of each stream has been taken.
    private var positions: [OutputLine.Stream: Int64]
    /// The last line on stderr with something in it.
    package private(set) var lastErrorLine: String?

    private struct UnfinishedLine {
        var bytes: [UInt8] = []
        /// How long it is, with what was cut.
        var count = 0
    }

    /// - Parameter positions: how many bytes of each stream others have taken before.
    package init(positions: [OutputLine.Stream: Int64] = [:], overflow: OutputOverflow = .dropped) {
        self.positions = positions
        self.overflow = overflow
        allowance = Allowance(overflow)
    }

    /// How long the program is to wait with what it writes.
    mutating func pause(at time: Int64) -> Duration {
        overflow == .held ? allowance.pause(at: time) : .zero
    }

    /// True while nothing waits for `flush`.
    package var isEmpty: Bool { lines.isEmpty && dropped == 0 }

    /// - Parameter time: microseconds since 1970.
    /// - Returns: the batches that have become full.
    package mutating func append(_ bytes: [UInt8], _ stream: OutputLine.Stream, at time: Int64) -> [[OutputLine]] {
        var batches: [[OutputLine]] = []
        // Out of the dictionary while it is worked on, so that it is not copied.
        var line = unfinished.removeValue(forKey: stream) ?? UnfinishedLine()
        bytes.withUnsafeBytes { bytes in
            var rest = bytes
            // Not firstIndex(of:): a program that floods us must not cost more than it has to.
            while let start = rest.baseAddress, let end = memchr(start, 0x0A, rest.count) {
                let count = UnsafeRawPointer(end) - start
                take(rest.prefix(count), into: &line)
                positions[stream, default: 0] += Int64(count + 1)
                finish(&line, stream, at: time)
                if lines.count >= Self.batchLines {
                    batches.append(lines)
                    lines = []
                }
                rest = UnsafeRawBufferPointer(rebasing: rest[(count + 1)...])
            }
            take(rest[...], into: &line)
            positions[stream, default: 0] += Int64(rest.count)
        }
        unfinished[stream] = line
        return batches
    }

    /// What has come since the last batch. A line that has no end yet stays.
    package mutating func flush(at time: Int64) -> [OutputLine] {
        countDropped(at: time)
        defer { lines = [] }
        return lines
    }

    /// All that is left, when the program has ended.
    package mutating func finish(at time: Int64) -> [OutputLine] {
        for stream in [OutputLine.Stream.stdout, .stderr] {
            guard var line = unfinished.removeValue(forKey: stream), line.count > 0 else { continue }
            finish(&line, stream, at: time)
        }
        countDropped(at: time, evenNow: true)
        return flush(at: time)
    }

    /// Before a new run.
    package mutating func forgetLastErrorLine() {
        lastErrorLine = nil
    }

    // MARK: Lines

    private func take(_ bytes: Slice<UnsafeRawBufferPointer>, into line: inout UnfinishedLine) {
        line.count += bytes.count
        // During a flood nothing is kept of a line that will be dropped; but it can still end in a quieter second.
        let room = Self.maximumLineBytes - line.bytes.count
        if room > 0 { line.bytes.append(contentsOf: bytes.prefix(room)) }
    }

    private mutating func finish(_ line: inout UnfinishedLine, _ stream: OutputLine.Stream, at time: Int64) {
        defer {
            line.bytes.removeAll(keepingCapacity: true)
            line.count = 0
        }
        countDropped(at: time)
        guard allowance.take(line.bytes.count, isDue: overflow == .held, at: time) else {
            dropped += 1
            return
        }
        let text = Self.text(line)
        if stream == .stderr, text.contains(where: { !$0.isWhitespace }) { lastErrorLine = text }
        lines.append(OutputLine(time: time, stream: stream, text: text, end: positions[stream] ?? 0))
    }

    private static func text(_ line: UnfinishedLine) -> String {
        var bytes = line.bytes[...]
        if line.count == bytes.count, bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        // NUL is valid UTF-8, but no database takes it as text.
        let text = String(decoding: bytes, as: UTF8.self).replacing("\0", with: "\u{FFFD}")
        return line.count > line.bytes.count ? "\(text) … (cut, \(line.count) bytes)" : text
    }

    /// Says how many lines were dropped, once the second in which they came is over.
    private mutating func countDropped(at time: Int64, evenNow: Bool = false) {
        let now = time / 1_000_000
        guard now != second || evenNow else { return }
        second = now
        guard dropped > 0 else { return }
        let text = "… \(dropped) lines dropped"
        lines.append(OutputLine(time: time, stream: .stderr, text: text))
        dropped = 0
    }
}
