/// Knows by number which readings the hub may still need, and says what is to be sent when.
///
/// A state machine without I/O: the uplink tells it what happened, and sends what `next` returns.
///
/// Whenever readings may have got lost on the way, a new round begins: everything that is not committed is sent again,
/// in order, several readings in a message and with pauses, for all drivers of a broker do so at the same moment. What
/// gets lost within a round the hub notices by the numbers, and names as missing. The hub knows a repeat by its time
/// and number.
struct Outbox {
    struct Limits {
        /// Messages that the broker has not yet acknowledged. Well below mosquitto's `max_inflight_messages` of 20,
        /// beyond which libmosquitto would begin a queue of its own.
        var messagesInFlight = 10
        /// What is sent again goes no faster than a reading in this time.
        var pace = Duration.microseconds(250)
        /// After the broker has refused a message.
        var pauseAfterRefusal = Duration.seconds(10)
        /// Between two answers to what the hub misses: the first one takes a while to arrive.
        var pauseBetweenAnswers = Duration.seconds(2)
    }

    enum Step: Hashable {
        /// Readings of one boot that follow one another: as many of the first ones as fit into a message.
        case send(Span)
        /// The hub misses these of our readings, and we have them no more.
        case giveUp([Span])
        case wait(until: Instant)
        /// Nothing to do before the next event.
        case idle
    }

    private enum Link {
        case down
        case up(Round)
    }

    /// What was sent since what is not committed was last begun with.
    private struct Round {
        /// What lies before has been sent.
        var next = Position.zero
        /// The last reading that was there when the round began: up to it we are catching up.
        let backlogEnd: Position
        var notBefore: Instant?
        /// What was sent already, and is missing.
        var again = SpanSet()
        /// What is missing for good.
        var givenUp: [Span] = []
        /// Messages without the broker's acknowledgement, by libmosquitto's ids.
        var inFlight: Set<Int32> = []
    }

    private let limits: Limits
    private var link = Link.down
    /// Readings that are kept and not committed.
    private(set) var kept: SpanSet
    /// What the hub misses and has not been answered yet.
    private var missing = SpanSet()
    /// Not to be answered before.
    private var answerAt = Instant(nanoseconds: .min)

    /// The boots that numbers were given under, with the last one of each, oldest first; the last one is the present.
    private(set) var boots: [Position]
    /// The last reading that was ever sent.
    private(set) var lastSent = Position.zero
    /// False until it is known that the present boot is above that of the readings that the hub has.
    private(set) var isSettled = false

    /// - Parameters:
    ///   - boot: of this start, above all of `boots`.
    ///   - boots: of earlier starts, with their last numbers, oldest first.
    ///   - kept: readings that an earlier start has left.
    init(boot: Int64, after boots: [Position] = [], kept: SpanSet = SpanSet(), limits: Limits = Limits()) {
        self.boots = boots + [Position(boot: boot, seq: 0)]
        self.kept = kept
        self.limits = limits
    }

    /// The present boot and its last number.
    var last: Position { boots[boots.count - 1] }

    /// How many readings have not been sent in the present round.
    var unsentCount: Int {
        guard case .up(let round) = link else { return kept.count }
        return kept.spans.compactMap { $0.from(round.next) }.reduce(0) { $0 + $1.count }
    }

    /// The last reading of the boot before.
    func end(before boot: Int64) -> Position? { boots.last { $0.boot < boot && $0.seq > 0 } }

    // MARK: Events

    /// A reading was taken.
    ///
    /// - Returns: its number.
    mutating func take() -> Position {
        let position = Position(boot: last.boot, seq: last.seq + 1)
        boots[boots.count - 1] = position
        kept.append(Span(boot: position.boot, seqs: position.seq...position.seq))
        return position
    }

    /// Readings are not kept any more.
    ///
    /// - Returns: how many of them had not been committed.
    mutating func dropped(_ spans: [Span]) -> Int {
        let before = kept.count
        for span in spans { kept.remove(span) }
        forgetRepeats()
        return before - kept.count
    }

    mutating func connected() { beginRound() }

    mutating func disconnected() { link = .down }

    /// The hub has come back. What was sent while it was away is in the broker's queue for it, but not if the broker
    /// has lost the queue with a crash, or if it was full.
    mutating func hubReturned() {
        if case .up = link { beginRound() }
    }

    /// The hub has nothing of this sensor, as far as one can tell: the present boot stands.
    mutating func settle() { isSettled = true }

    /// The hub told how far it is.
    ///
    /// - Returns: true if a new boot was begun, because the hub has readings with the present one or a higher one that
    ///   do not come from here: the clock was set back, or two drivers run for one sensor. What was taken before stays
    ///   under its number.
    mutating func committed(_ mark: Mark) -> Bool {
        let isForeign =
            mark.position.boot > last.boot
            || (mark.position.boot == last.boot && (!isSettled || mark.position.seq > last.seq))
        isSettled = true
        guard !isForeign else {
            boots.append(Position(boot: mark.position.boot + 1, seq: 0))
            boots.removeFirst(max(0, boots.count - BootFile.keptBoots))
            return true
        }
        guard isOwn(mark.position.boot) else { return false }
        // How far an earlier boot went the hub learns with the first reading of the next one. Where that is missing, it
        // cannot know what else is.
        let known = mark.missing.spans.last { $0.seqs.lowerBound <= 1 && isOwn($0.boot) }?.boot ?? 0
        let begin = Position(boot: known, seq: 0)
        if begin <= mark.reached { kept.remove(begin...mark.reached, except: mark.missing) }
        missing = mark.missing
        forgetRepeats()
        return false
    }

    private func isOwn(_ boot: Int64) -> Bool {
        boots.contains { $0.boot == boot } || kept.spans.contains { $0.boot == boot }
    }

    /// The broker has taken a message.
    mutating func acknowledged(_ id: Int32) {
        change { round in round.inFlight.remove(id) }
    }

    /// The broker has refused a message, or it could not be sent for another reason than a lost connection.
    ///
    /// - Parameter id: nil for one that was not sent.
    /// - Returns: false for a message that was none of ours.
    mutating func refused(_ id: Int32?, at now: Instant) -> Bool {
        guard case .up(let round) = link, id.map(round.inFlight.contains) ?? true else { return false }
        beginRound(notBefore: now + limits.pauseAfterRefusal)
        return true
    }

    /// A message with the first readings of what `next` said is on its way.
    mutating func sent(_ span: Span, id: Int32, at now: Instant) {
        lastSent = max(lastSent, span.last)
        let pace = limits.pace
        change { round in
            round.inFlight.insert(id)
            if span.first < round.next {
                round.again.remove(span)
            } else {
                round.next = Position(boot: span.boot, seq: span.last.seq + 1)
            }
            round.notBefore = span.first <= round.backlogEnd || !round.again.isEmpty ? now + pace * span.count : nil
        }
    }

    /// The hub is being told what is given up.
    mutating func gaveUp(id: Int32) {
        change { round in
            round.inFlight.insert(id)
            round.givenUp = []
        }
    }

    // MARK: What to do

    mutating func next(at now: Instant) -> Step {
        guard isSettled, case .up = link else { return .idle }
        if now >= answerAt { answer(at: now) }
        guard case .up(let round) = link, round.inFlight.count < limits.messagesInFlight else { return .idle }
        if let notBefore = round.notBefore, now < notBefore { return .wait(until: notBefore) }
        if !round.givenUp.isEmpty { return .giveUp(round.givenUp) }
        if let span = round.again.spans.first ?? kept.next(from: round.next) { return .send(span) }
        return missing.isEmpty ? .idle : .wait(until: answerAt)
    }

    /// Sees what can be done about what the hub misses.
    private mutating func answer(at now: Instant) {
        guard !missing.isEmpty, case .up(let round) = link else { return }
        // What has yet to be sent comes anyway.
        let end = Position(boot: round.next.boot, seq: round.next.seq - 1)
        let sent = missing.spans.compactMap { $0.through(end) }
        let again = SpanSet(round.again.spans + sent.flatMap { kept.parts(of: $0) })
        var gone = missing
        for span in kept.spans { gone.remove(span) }
        let givenUp = gone.spans.compactMap { isOwn($0.boot) ? $0.through(last) : nil }
        change { round in
            round.again = again
            round.givenUp = givenUp
        }
        missing = SpanSet()
        answerAt = now + limits.pauseBetweenAnswers
    }

    private mutating func beginRound(notBefore: Instant? = nil) {
        link = .up(Round(backlogEnd: kept.last ?? .zero, notBefore: notBefore))
    }

    private mutating func forgetRepeats() {
        let kept = kept
        change { round in if !round.again.isEmpty { round.again.formIntersection(kept) } }
    }

    private mutating func change(_ body: (inout Round) -> Void) {
        guard case .up(var round) = link else { return }
        // Otherwise there would be a second owner of the round's set, which would be copied for the change.
        link = .down
        body(&round)
        link = .up(round)
    }
}
