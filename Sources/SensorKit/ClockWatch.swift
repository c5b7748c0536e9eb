import CShims

/// Watches whether the time of day can be believed. A machine without a clock that outlives power cuts starts somewhere
/// in the past and is set right later; what was stamped before is then corrected by as much as the clock stepped.
///
/// A value without I/O: it is told what the clocks say.
struct ClockWatch {
    /// What the clocks say at one moment.
    struct Sample {
        /// The time of day, in microseconds since 1970.
        let time: Int64
        let instant: Instant
        /// True where the kernel was told, as by NTP, that its time is right.
        let isSynchronized: Bool

        /// The time of day at which the clock that nobody sets would have begun, in microseconds: it changes when the
        /// time is set, and with nothing else.
        fileprivate var base: Int64 { time - instant.nanoseconds / 1_000 }
    }

    /// By how much readings were stamped wrong.
    struct Correction: Hashable {
        let span: Span
        /// In microseconds, to be added.
        let offset: Int64
    }

    /// Readings that were stamped between two steps of the clock.
    private struct Stretch {
        var span: Span
        let base: Int64
    }

    /// False for good once the time is right.
    private(set) var isUncertain: Bool
    private let earliest: Int64
    private var base: Int64
    private var stretches: [Stretch] = []

    /// In microseconds; a smaller step is no sign that somebody has set the time right.
    private static let step: Int64 = 1_000_000
    private static let maximumStretches = 16

    /// - Parameter earliest: the present lies after this, in microseconds since 1970.
    init(_ sample: Sample, earliest: Int64) {
        self.earliest = earliest
        base = sample.base
        // A machine without NTP may have a clock that is right all the same.
        isUncertain = !sample.isSynchronized && sample.time < earliest
    }

    /// - Returns: what is to be corrected, once the time is right.
    mutating func observe(_ sample: Sample) -> [Correction] {
        guard isUncertain else { return [] }
        let isStep = (sample.base - base).magnitude > Self.step
        base = sample.base
        // That wrong time passes does not make it right, even where it goes past `earliest`.
        guard sample.isSynchronized || (isStep && sample.time >= earliest) else { return [] }
        isUncertain = false
        defer { stretches = [] }
        return stretches.map { Correction(span: $0.span, offset: base - $0.base) }
    }

    /// A reading was stamped at the time that was observed last.
    mutating func stamped(_ position: Position) {
        guard isUncertain else { return }
        if let last = stretches.last, last.span.boot == position.boot, (base - last.base).magnitude <= Self.step {
            stretches[stretches.count - 1].span = Span(
                boot: position.boot, seqs: last.span.seqs.lowerBound...position.seq)
        } else {
            if stretches.count == Self.maximumStretches { stretches.removeFirst() }
            stretches.append(Stretch(span: Span(boot: position.boot, seqs: position.seq...position.seq), base: base))
        }
    }
}

extension ClockWatch.Sample {
    /// - Parameter clock: says the time of day.
    static func now(_ clock: WallClock) -> Self {
        Self(time: clock.now(), instant: .now, isSynchronized: sh_is_clock_synchronized() == 1)
    }
}
