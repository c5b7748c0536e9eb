import HubModel
import Postgres
import SimdJSON

/// What is known of the clock that stamped a reading; as the database's `hub.clock`.
enum ClockState: String, Hashable {
    case right, uncertain, corrected
}

/// The readings of one type in a batch, column by column as the database takes them.
struct ReadingColumns {
    let type: IngestType
    /// Of all its readings: nearly all clocks are right, so it is no column.
    let clock: ClockState
    private(set) var instances = BinaryArray(.int4)
    private(set) var eventTimes = BinaryArray(.timestamptz)
    private(set) var boots = BinaryArray(.int8)
    private(set) var sequences = BinaryArray(.int8)
    private(set) var receiveTimes = BinaryArray(.timestamptz)
    private(set) var fields: [BinaryArray]
    /// The index in the batch of the message that each row came in.
    private(set) var origins: [Int] = []
    /// The hours since 1970 that the readings are of.
    private(set) var hours: Set<Int64> = []
    private var lastHour: Int64 = -1

    var count: Int { origins.count }

    init(_ type: IngestType, clock: ClockState) {
        self.type = type
        self.clock = clock
        fields = type.fields.map { BinaryArray($0.type.element) }
    }

    /// Adds a reading.
    ///
    /// - Parameter values: one for each field of the type, in its order; nil where the reading has none. Their kinds have
    ///   been checked.
    mutating func append(
        _ reading: ReadingKey, sensorID: Int32, receivedAt: Int64, origin: Int, values: UnsafeBufferPointer<JSONTape?>
    ) {
        instances.append(sensorID)
        eventTimes.append(reading.time - Self.postgresEpoch)
        boots.append(reading.boot)
        sequences.append(reading.sequence)
        receiveTimes.append(receivedAt - Self.postgresEpoch)
        for index in values.indices {
            guard let value = values[index] else {
                fields[index].appendNull()
                continue
            }
            switch type.fields[index].type {
            case .string: fields[index].append(value.utf8)
            case .int: fields[index].append(value.int)
            case .float: fields[index].append(value.double)
            case .bool: fields[index].append(value.bool)
            }
        }
        origins.append(origin)
        let hour = reading.time / 3_600_000_000
        if hour != lastHour {
            lastHour = hour
            hours.insert(hour)
        }
    }

    /// 2000-01-01 in microseconds since 1970: PostgreSQL counts from there.
    static let postgresEpoch: Int64 = 946_684_800_000_000

    /// One array for each column of the table, in the order of `insertStatement`.
    var parameters: [Parameter] {
        ([instances, eventTimes, boots, sequences, receiveTimes] + fields).map { .array($0) }
    }

    /// Stores all rows at once.
    ///
    /// - Parameter leavingRepeats: what is there already is left as it is. It takes longer, so it is for batches that may hold
    ///   repeats; without it a repeat is an error.
    func insertStatement(leavingRepeats: Bool) -> String {
        let columns = ["instance_id", "event_time", "boot", "seq", "received_at"] + type.fields.map(\.name) + ["clock"]
        let casts = ["int4", "timestamptz", "int8", "int8", "timestamptz"] + type.fields.map(\.type.columnType)
        let arrays = casts.enumerated().map { "$\($0 + 1)::\($1)[]" }.joined(separator: ", ")
        let names = columns.map(quotedIdentifier).joined(separator: ", ")
        return "INSERT INTO readings.\(quotedIdentifier(type.table)) (\(names)) SELECT *, '\(clock.rawValue)' "
            + "FROM unnest(\(arrays))" + (leavingRepeats ? " ON CONFLICT DO NOTHING" : "")
    }
}

/// What tells a reading from every other one of its sensor.
struct ReadingKey: Hashable {
    /// Microseconds since 1970.
    let time: Int64
    let boot: Int64
    let sequence: Int64

    /// True for the newer one by event time.
    func isAfter(_ other: ReadingKey) -> Bool {
        (time, boot, sequence) > (other.time, other.boot, other.sequence)
    }
}

extension FieldType {
    var element: BinaryArray.Element {
        switch self {
        case .string: .text
        case .int: .int8
        case .float: .float8
        case .bool: .bool
        }
    }

    var columnType: String {
        switch self {
        case .string: "text"
        case .int: "int8"
        case .float: "float8"
        case .bool: "bool"
        }
    }
}
