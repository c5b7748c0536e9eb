/// Keeps each reading until the hub says that it is committed, and says what is to be sent when.
///
/// A state machine without I/O: the uplink tells it what happened and sends what `next` returns.
///
/// Whenever readings may have got lost on the way, a new round begins: everything that is not committed is sent again,
/// in order, several readings in a message and with pauses, for all drivers of a broker do so at the same moment. The
/// hub knows a repeat by its time and `seq`.
struct Outbox {
    struct Limits {
        /// Beyond these, the oldest readings are dropped.
        var readings = 10_000
        var bytes = 2 << 20
        /// In one message.
        var readingsInMessage = 200
        var bytesInMessage = 32 << 10
        /// Messages that the broker has not yet acknowledged. Well below mosquitto's `max_inflight_messages` of 20,
        /// beyond which libmosquitto would begin a queue of its own.
        var messagesInFlight = 10
        /// What is sent again goes no faster than a reading in this time.
        var pace = Duration.microseconds(250)
        /// After the broker has refused a message.
        var pauseAfterRefusal = Duration.seconds(10)
    }

    /// Readings that go into one message.
    struct Batch: Hashable {
        let payload: [UInt8]
        let seqs: ClosedRange<Int64>
    }

    enum Step: Hashable {
        case send(Batch)
        case wait(until: Instant)
        /// Nothing to do before the next event.
        case idle
    }

    private enum Link {
        case down
        case up(Round)
    }

    /// What was sent, from the first reading that is not committed.
    private struct Round {
        /// The first reading that has not been sent.
        var next: Int64
        /// The last reading that was there when the round began: up to it we are catching up.
        let backlogEnd: Int64
        var notBefore: Instant?
        /// Messages without the broker's acknowledgement, by libmosquitto's ids.
        var inFlight: Set<Int32> = []
    }

    private let limits: Limits
    private var readings = ReadingQueue()
    private var link = Link.down
    /// The last reading that was ever sent under `boot`.
    private var lastSent: Int64 = 0
    /// The last reading that was sent before the present round. Messages of earlier rounds can still arrive, from the
    /// broker's queue or because libmosquitto by itself sends again what was in flight when a connection was lost. So a
    /// mark up to here may be due to such a straggler, and does not tell that the readings before it have arrived.
    private var sentInEarlierRounds: Int64 = 0

    /// Grows with each start of the driver. May still change until `isSettled`.
    private(set) var boot: Int64
    /// False until it is known that `boot` is above that of the readings that the hub has.
    private(set) var isSettled = false

    init(boot: Int64, limits: Limits = Limits()) {
        self.boot = boot
        self.limits = limits
    }

    /// How many readings are kept.
    var count: Int { readings.count }

    /// How many readings have not been sent in the present round.
    var unsentCount: Int {
        guard case .up(let round) = link else { return readings.count }
        return Int(max(0, readings.last - max(round.next, readings.first) + 1))
    }

    // MARK: Events

    /// A reading was taken.
    ///
    /// - Parameters:
    ///   - time: microseconds since 1970.
    ///   - values: the fields as JSON text.
    /// - Returns: how many readings had to be dropped to make room.
    mutating func append(time: Int64, values: [UInt8]) -> Int {
        readings.append(time: time, values: values)
        var dropped = 0
        while readings.count > limits.readings || readings.bytes > limits.bytes {
            readings.removeFirst()
            dropped += 1
        }
        return dropped
    }

    mutating func connected() {
        beginRound()
    }

    mutating func disconnected() {
        link = .down
    }

    /// The hub has come back. What was sent while it was away is in the broker's queue for it, but not if the broker
    /// has lost the queue with a crash, or if it was full.
    mutating func hubReturned() {
        if case .up = link { beginRound() }
    }

    /// The hub has nothing of this sensor, as far as one can tell: `boot` stands.
    mutating func settle() {
        isSettled = true
    }

    /// The hub told how far it is.
    ///
    /// - Returns: true if `boot` had to change, because the hub has readings with this number or a higher one that do
    ///   not come from here: the clock was set back, or two drivers run for one sensor. What is kept is then sent
    ///   (again) under the new number. Each reading keeps its `seq`, by which the hub knows those that it has already.
    mutating func committed(_ mark: Mark) -> Bool {
        let isForeign = mark.boot > boot || (mark.boot == boot && (!isSettled || mark.seq > readings.last))
        isSettled = true
        guard !isForeign else {
            boot = mark.boot + 1
            lastSent = 0
            if case .up = link { beginRound() }
            return true
        }
        if mark.boot == boot, mark.seq > sentInEarlierRounds { readings.removeThrough(mark.seq) }
        return false
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

    /// A batch from `next` is on its way.
    mutating func sent(_ batch: Batch, id: Int32, at now: Instant) {
        lastSent = max(lastSent, batch.seqs.upperBound)
        let pace = limits.pace
        change { round in
            round.inFlight.insert(id)
            round.next = batch.seqs.upperBound + 1
            let isCatchingUp = batch.seqs.lowerBound <= round.backlogEnd
            round.notBefore = isCatchingUp ? now + pace * batch.seqs.count : nil
        }
    }

    // MARK: What to do

    func next(at now: Instant) -> Step {
        guard isSettled, case .up(let round) = link, unsentCount > 0, round.inFlight.count < limits.messagesInFlight
        else { return .idle }
        if let notBefore = round.notBefore, now < notBefore { return .wait(until: notBefore) }
        return .send(batch(from: max(round.next, readings.first)))
    }

    private mutating func beginRound(notBefore: Instant? = nil) {
        sentInEarlierRounds = lastSent
        link = .up(Round(next: readings.first, backlogEnd: readings.last, notBefore: notBefore))
    }

    private mutating func change(_ body: (inout Round) -> Void) {
        guard case .up(var round) = link else { return }
        // Otherwise there would be a second owner of the round's set, which would be copied for the change.
        link = .down
        body(&round)
        link = .up(round)
    }

    /// One reading as an object, several as an array.
    private func batch(from first: Int64) -> Batch {
        var payload: [UInt8] = []
        var last = first
        for seq in first...min(readings.last, first + Int64(limits.readingsInMessage) - 1) {
            let reading = readings[seq]
            if seq > first, payload.count + reading.values.count > limits.bytesInMessage { break }
            if seq > first { payload.append(UInt8(ascii: ",")) }
            payload.append(contentsOf: #"{"t":\#(reading.time),"boot":\#(boot),"seq":\#(seq),"v":"#.utf8)
            payload.append(contentsOf: reading.values)
            payload.append(UInt8(ascii: "}"))
            last = seq
        }
        if last > first {
            payload.insert(UInt8(ascii: "["), at: 0)
            payload.append(UInt8(ascii: "]"))
        }
        return Batch(payload: payload, seqs: first...last)
    }
}
