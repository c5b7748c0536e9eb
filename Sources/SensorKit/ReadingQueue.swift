/// Readings without gaps in their numbers, oldest first. They are kept as JSON text, which takes a fraction of the
/// memory of JSON values.
struct ReadingQueue {
    struct Reading {
        /// Microseconds since 1970.
        let time: Int64
        /// The fields as JSON text.
        let values: [UInt8]
    }

    private var readings: [Reading?] = []
    /// What lies before it in `readings` has been removed.
    private var start = 0
    /// The number of the first reading; of the next one where there is none.
    private(set) var first: Int64 = 1
    /// All `values` together.
    private(set) var bytes = 0

    var count: Int { readings.count - start }
    var isEmpty: Bool { count == 0 }

    /// The number of the last reading that was ever appended; 0 before the first.
    var last: Int64 { first + Int64(count) - 1 }

    /// - Parameter seq: from `first` to `last`.
    subscript(seq: Int64) -> Reading {
        readings[start + Int(seq - first)]!
    }

    mutating func append(time: Int64, values: [UInt8]) {
        readings.append(Reading(time: time, values: values))
        bytes += values.count
    }

    mutating func removeFirst() {
        bytes -= readings[start]!.values.count
        readings[start] = nil
        start += 1
        first += 1
        // Moving the rest down only now and then keeps the cost of one removal constant.
        if start == readings.count {
            readings.removeAll()
            start = 0
        } else if start >= 256, start > readings.count / 2 {
            readings.removeSubrange(..<start)
            start = 0
        }
    }

    /// Removes all readings up to this number.
    mutating func removeThrough(_ seq: Int64) {
        while !isEmpty, first <= seq { removeFirst() }
    }
}
