import HubModel
import MQTT
import Postgres
import SimdJSON

/// Readings between two commits: what has been read from the broker and is not stored yet.
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
        let value: [UInt8]
    }

    /// How far a driver's readings have come.
    struct Progress: Sendable {
        var boot: Int64
        var sequence: Int64
    }

    private(set) var columns: [Int32: ReadingColumns] = [:]
    private(set) var latest: [Int32: Latest] = [:]
    private(set) var progress: [Int32: Progress] = [:]
    private(set) var sensors: [Int32: Identifier] = [:]
    var deadLetters: [DeadLetter] = []
    /// Sensor and payload of each message, for the case that its rows cannot be stored.
    private var messages: [(sensorID: Int32, payload: Range<Int>)] = []
    private var arena: [UInt8] = []
    private(set) var readings = 0

    var isEmpty: Bool { readings == 0 && deadLetters.isEmpty }
    /// Payload bytes that the batch holds.
    var bytes: Int { arena.count }

    /// Takes a message of a known sensor.
    ///
    /// - Parameter nextSequence: numbers readings that came without `boot` and `seq`.
    mutating func add(
        _ payload: UnsafeRawBufferPointer, topic: String, from entry: IngestCatalog.Entry, receivedAt: Int64,
        parser: ReadingParser, nextSequence: inout Int64
    ) {
        let origin = messages.count
        let start = arena.count
        arena.append(contentsOf: payload)
        messages.append((entry.sensorID, start..<arena.count))
        sensors[entry.sensorID] = entry.sensor
        var columns = self.columns.removeValue(forKey: entry.type.id) ?? ReadingColumns(entry.type)
        var accepted = 0
        var refused: [(ReadingFault, [UInt8]?)] = []
        var newest = latest[entry.sensorID]
        var progress = self.progress[entry.sensorID]
        parser.parse(payload, as: entry.type) { reading in
            let key = reading.key ?? ReadingKey(time: receivedAt, boot: 0, sequence: nextSequence)
            if reading.key == nil { nextSequence += 1 }
            columns.append(
                key, sensorID: entry.sensorID, receivedAt: receivedAt, origin: origin, values: reading.values)
            if newest.map({ key.isAfter($0.key) }) ?? true {
                newest = Latest(key: key, receivedAt: receivedAt, value: (try? JSON(reading.object).bytes()) ?? [])
            }
            if reading.key != nil, progress.map({ (key.boot, key.sequence) > ($0.boot, $0.sequence) }) ?? true {
                progress = Progress(boot: key.boot, sequence: key.sequence)
            }
            accepted += 1
        } refuse: { fault, text in
            refused.append((fault, text))
        }
        self.columns[entry.type.id] = columns
        latest[entry.sensorID] = newest
        self.progress[entry.sensorID] = progress
        readings += accepted
        for (fault, text) in refused {
            addDeadLetter(text ?? Array(payload), topic: topic, fault, receivedAt: receivedAt)
        }
    }

    mutating func addDeadLetter(_ payload: [UInt8], topic: String, _ fault: ReadingFault, receivedAt: Int64) {
        // The whole of a huge payload helps nobody.
        let kept = payload.count > 65_536 ? Array(payload.prefix(65_536)) : payload
        deadLetters.append(DeadLetter(receivedAt: receivedAt, topic: topic, fault: fault, payload: kept))
    }

    /// Takes the readings of a type out, whose rows the database does not take: their messages become dead letters.
    mutating func refuse(type id: Int32, reason: String, topics: Topics, receivedAt: Int64) {
        guard let columns = columns.removeValue(forKey: id) else { return }
        for origin in Set(columns.origins).sorted() {
            let sensor = messages[origin].sensorID
            latest[sensor] = nil
            guard let name = sensors[sensor] else { continue }
            addDeadLetter(
                Array(arena[messages[origin].payload]), topic: topics.sensor(name.text, .data), ReadingFault(field: "", reason: reason),
                receivedAt: receivedAt)
        }
        readings -= columns.count
    }
}
