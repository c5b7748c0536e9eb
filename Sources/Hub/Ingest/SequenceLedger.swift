import HubModel

/// What a batch says of the numbers of one sensor's readings, in the order of arrival.
struct SequenceNotes {
    enum Note: Hashable {
        /// These have come.
        case came(boot: Int64, ClosedRange<Int64>)
        /// The driver took these and has given them up.
        case lost(boot: Int64, ClosedRange<Int64>)
        /// This boot's last number; 0 for none.
        case ended(boot: Int64, at: Int64)
    }

    private var finished: [Note] = []
    /// The last note, as long as it can become longer: nearly always the next number of the same boot comes.
    private var run: (boot: Int64, first: Int64, last: Int64)?

    var isEmpty: Bool { run == nil && finished.isEmpty }

    var notes: [Note] { run.map { finished + [.came(boot: $0.boot, $0.first...$0.last)] } ?? finished }

    mutating func came(boot: Int64, _ sequence: Int64) {
        if let last = run?.last, last &+ 1 == sequence, run?.boot == boot {
            run?.last = sequence
        } else {
            finishRun()
            run = (boot, sequence, sequence)
        }
    }

    mutating func add(_ note: Note) {
        finishRun()
        finished.append(note)
    }

    private mutating func finishRun() {
        if let run { finished.append(.came(boot: run.boot, run.first...run.last)) }
        run = nil
    }
}

/// Watches the numbers of one sensor's readings: which have come, and which were left out. A value without I/O: it is told
/// what came, and says what is to be written into the ledger of gaps.
struct SequenceLedger {
    /// What is to be written, in this order.
    struct Changes {
        struct Range: Hashable {
            let boot: Int64
            let bounds: ClosedRange<Int64>
        }

        /// The newest boot and its highest number, where that has risen.
        var furthest: (boot: Int64, sequence: Int64)?
        /// The highest number of other boots that have risen, and of the one that was the newest until now.
        var earlier: [Int64: Int64] = [:]
        /// Numbers that were left out.
        var gaps: [Range] = []
        /// Numbers that come after higher ones: repeats, or late ones that fill gaps.
        var late: [Range] = []
        /// Numbers that the driver has given up.
        var lost: [Range] = []
        /// Something came that may be in the database already.
        var mayRepeat = false

        var isEmpty: Bool { furthest == nil && earlier.isEmpty && gaps.isEmpty && late.isEmpty && lost.isEmpty }
    }

    /// How many boots of a sensor are remembered.
    private static let keptBoots = 8

    /// The newest boot and its highest number; nil before the first reading.
    private(set) var furthest: (boot: Int64, sequence: Int64)?
    /// The highest number of each older boot.
    private var earlier: [Int64: Int64] = [:]
    /// True while the database has gaps of this sensor that are not closed.
    var hasOpenGaps = false

    init() {}

    /// - Parameter progress: the highest number of each boot, as the database has it.
    init(progress: [Int64: Int64], hasOpenGaps: Bool) {
        furthest = progress.max { $0.key < $1.key }.map { ($0.key, $0.value) }
        earlier = progress.filter { $0.key != furthest?.boot }
        self.hasOpenGaps = hasOpenGaps
    }

    /// Takes what a batch says.
    mutating func take(_ notes: SequenceNotes) -> Changes {
        var changes = Changes()
        for note in notes.notes {
            switch note {
            case .came(let boot, let range):
                advance(boot, to: range, &changes, late: true)
            case .lost(let boot, let range):
                // What was never noticed as missing is a gap now, which is then closed as lost.
                if let known = highest(of: boot), range.upperBound > known {
                    advance(boot, to: range.upperBound + 1...range.upperBound + 1, &changes, late: false)
                }
                changes.lost.append(.init(boot: boot, bounds: range))
            case .ended(let boot, let last):
                if let known = highest(of: boot), last > known {
                    advance(boot, to: last + 1...last + 1, &changes, late: false)
                }
            }
        }
        if !changes.gaps.isEmpty { hasOpenGaps = true }
        if !hasOpenGaps { changes.late = [] }
        return changes
    }

    /// The highest number of a boot that is known; 0 for one that is new: it begins at 1. Nil for one so old that it is
    /// forgotten.
    private func highest(of boot: Int64) -> Int64? {
        guard let furthest, boot <= furthest.boot else { return 0 }
        if boot == furthest.boot { return furthest.sequence }
        return earlier[boot] ?? (earlier.count + 1 < Self.keptBoots ? 0 : nil)
    }

    private mutating func setHighest(of boot: Int64, to sequence: Int64, _ changes: inout Changes) {
        if let furthest, boot < furthest.boot {
            earlier[boot] = sequence
            changes.earlier[boot] = sequence
        } else {
            if let former = furthest, boot > former.boot {
                earlier[former.boot] = former.sequence
                changes.earlier[former.boot] = former.sequence
            }
            furthest = (boot, sequence)
            changes.furthest = furthest
        }
        if earlier.count + 1 > Self.keptBoots, let oldest = earlier.keys.min() { earlier[oldest] = nil }
    }

    /// - Parameter late: false where `range` is one past what is known to be left out, and has not come itself.
    private mutating func advance(
        _ boot: Int64, to range: ClosedRange<Int64>, _ changes: inout Changes, late: Bool
    ) {
        guard let known = highest(of: boot) else {
            changes.mayRepeat = true
            changes.late.append(.init(boot: boot, bounds: range))
            return
        }
        if range.lowerBound > known + 1 {
            changes.gaps.append(.init(boot: boot, bounds: known + 1...range.lowerBound - 1))
        }
        if late, range.lowerBound <= known {
            changes.mayRepeat = true
            changes.late.append(.init(boot: boot, bounds: range.lowerBound...min(range.upperBound, known)))
        }
        let reached = late ? range.upperBound : range.lowerBound - 1
        if reached > known { setHighest(of: boot, to: reached, &changes) }
    }
}
