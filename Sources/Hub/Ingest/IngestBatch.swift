import HubModel
import MQTT
import Postgres
import SimdJSON

/// What has been read from the broker since the last commit.
struct IngestBatch {
    struct DeadLetter {
        let receivedAt: Int64
        let topic: String
        let fault: ReadingFault
        let payload: [UInt8]
    }

    /// The newest reading of a sensor in the batch.
    struct Latest {
        let key: ReadingKey
        let receivedAt: Int64
        /// Where it is: the message, and its place among the message's good readings.
        fileprivate let message: Int
        fileprivate let place: Int
    }

    /// What a batch says of one sensor.
    struct SensorPart {
        /// The newest: within a batch its type may gain fields.
        fileprivate(set) var entry: IngestCatalog.Entry
        var latest: Latest?
        var notes = SequenceNotes()
        var corrections: [ClockCorrection] = []
    }

    /// Where a message came from, for the case that its rows cannot be stored.
    private struct Origin {
        /// Its sensor's place in `sensors`.
        let sensor: Int
        let payload: Range<Int>
    }

    /// A type that gains fields within a batch is another one from then on: its rows have more columns.
    private struct ColumnsKey: Hashable {
        let type: ObjectIdentifier
        let clock: ClockState
    }

    private(set) var columns: [ReadingColumns] = []
    private(set) var sensors: [SensorPart] = []
    private(set) var deadLetters: [DeadLetter] = []
    /// Dead letters that this batch takes up again, and that go when it is stored.
    var replayed: [Int64] = []
    private(set) var readings = 0
    private var columnIndexes: [ColumnsKey: Int] = [:]
    private var sensorIndexes: [Int32: Int] = [:]
    private var origins: [Origin] = []
    private var arena: [UInt8] = []
    private var deadLetterBytes = 0

    var isEmpty: Bool { origins.isEmpty && deadLetters.isEmpty && replayed.isEmpty }
    /// Payload bytes that the batch holds.
    var bytes: Int { arena.count + deadLetterBytes }

    /// Takes a message of a known sensor.
    ///
    /// - Parameters:
    ///   - corrections: finds the clock correction of a reading that was stamped with a wrong clock.
    ///   - nextSequence: numbers readings that came without `boot` and `seq`.
    mutating func add(
        _ payload: UnsafeRawBufferPointer, from entry: IngestCatalog.Entry, topics: Topics, receivedAt: Int64,
        parser: ReadingParser, nextSequence: inout Int64, offset: (ReadingKey) -> Int64?
    ) {
        let message = origins.count
        let start = arena.count
        arena.append(contentsOf: payload)
        let sensor = sensorIndex(entry)
        origins.append(Origin(sensor: sensor, payload: start..<arena.count))
        var place = 0
        parser.parse(payload, as: entry.type) { item in
            switch item {
            case .reading(let reading):
                var key = reading.key ?? ReadingKey(time: receivedAt, boot: 0, sequence: nextSequence)
                var clock = ClockState.right
                if reading.key == nil {
                    nextSequence += 1
                } else {
                    sensors[sensor].notes.came(boot: key.boot, key.sequence)
                    if reading.isUncertain { clock = key.correct(offset) }
                }
                columns[columnIndex(entry.type, clock)].append(
                    key, sensorID: entry.sensorID, receivedAt: receivedAt, origin: message, values: reading.values)
                if sensors[sensor].latest.map({ key.isAfter($0.key) }) ?? true {
                    sensors[sensor].latest = Latest(key: key, receivedAt: receivedAt, message: message, place: place)
                }
                place += 1
            case .refused(let fault, let text, let key):
                // It has come, though it cannot be stored: nobody is to send it again.
                if let key { sensors[sensor].notes.came(boot: key.boot, key.sequence) }
                addDeadLetter(
                    text ?? Array(payload), topic: topics.sensor(entry.sensor.text, .data), fault,
                    receivedAt: receivedAt)
            case .note(let note):
                sensors[sensor].notes.add(note)
            case .clock(let correction):
                sensors[sensor].corrections.append(correction)
            }
        }
        readings += place
    }

    private mutating func sensorIndex(_ entry: IngestCatalog.Entry) -> Int {
        if let index = sensorIndexes[entry.sensorID] {
            sensors[index].entry = entry
            return index
        }
        sensorIndexes[entry.sensorID] = sensors.count
        sensors.append(SensorPart(entry: entry))
        return sensors.count - 1
    }

    private mutating func columnIndex(_ type: IngestType, _ clock: ClockState) -> Int {
        let key = ColumnsKey(type: ObjectIdentifier(type), clock: clock)
        if let index = columnIndexes[key] { return index }
        columnIndexes[key] = columns.count
        columns.append(ReadingColumns(type, clock: clock))
        return columns.count - 1
    }

    mutating func addDeadLetter(_ payload: [UInt8], topic: String, _ fault: ReadingFault, receivedAt: Int64) {
        // The whole of a huge payload helps nobody.
        let kept = payload.count > 65_536 ? Array(payload.prefix(65_536)) : payload
        deadLetterBytes += kept.count
        deadLetters.append(DeadLetter(receivedAt: receivedAt, topic: topic, fault: fault, payload: kept))
    }

    /// The fields of a reading as a JSON object. It is read again from the payload: this is needed for one reading of
    /// each sensor, and not for every reading that comes.
    func value(of latest: Latest, parser: ReadingParser) -> [UInt8] {
        let origin = origins[latest.message]
        let type = sensors[origin.sensor].entry.type
        var value: [UInt8] = []
        var place = 0
        arena.withUnsafeBytes { arena in
            parser.parse(UnsafeRawBufferPointer(rebasing: arena[origin.payload]), as: type) { item in
                guard case .reading(let reading) = item else { return }
                if place == latest.place { reading.object.write(to: &value) }
                place += 1
            }
        }
        return value
    }

    /// Takes the readings of a type out, whose rows the database does not take: their messages become dead letters.
    mutating func refuse(_ refused: ReadingColumns, reason: String, topics: Topics, receivedAt: Int64) {
        guard let index = columnIndexes[ColumnsKey(type: ObjectIdentifier(refused.type), clock: refused.clock)] else {
            return
        }
        columns[index] = ReadingColumns(refused.type, clock: refused.clock)
        readings -= refused.count
        for message in Set(refused.origins).sorted() {
            let origin = origins[message]
            sensors[origin.sensor].latest = nil
            addDeadLetter(
                Array(arena[origin.payload]), topic: topics.sensor(sensors[origin.sensor].entry.sensor.text, .data),
                ReadingFault(field: "", reason: reason), receivedAt: receivedAt)
        }
    }
}

extension ReadingKey {
    /// Corrects the time where the offset is known.
    fileprivate mutating func correct(_ offset: (ReadingKey) -> Int64?) -> ClockState {
        guard let offset = offset(self) else { return .uncertain }
        self = ReadingKey(time: time + offset, boot: boot, sequence: sequence)
        return .corrected
    }
}
