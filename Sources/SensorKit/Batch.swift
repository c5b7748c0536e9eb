/// A message with readings, in the making.
struct Batch {
    /// The readings in it; nil while there is none.
    private(set) var span: Span?
    private var items: [UInt8] = []
    private var hasSeveral = false
    private let corrections: [KeptCorrection]

    private static let maximumReadings = 200
    private static let maximumBytes = 32 << 10

    /// - Parameter corrections: what is known of the times of readings.
    init(corrections: [KeptCorrection]) {
        self.corrections = corrections
    }

    /// Adds the next reading of the same boot, and the notes in front of it.
    ///
    /// - Returns: false where it does not fit any more.
    mutating func append(_ reading: KeptReading, after notes: [Entry]) -> Bool {
        if let span, span.count >= Self.maximumReadings || items.count + reading.values.count > Self.maximumBytes {
            return false
        }
        for entry in notes + [.reading(reading)] { entry.write(to: &items, corrections: corrections) }
        hasSeveral = hasSeveral || span != nil || !notes.isEmpty
        let seq = reading.position.seq
        span = Span(boot: reading.position.boot, seqs: (span?.seqs.lowerBound ?? seq)...seq)
        return true
    }

    /// One reading as an object, several or one with notes as an array.
    var payload: [UInt8] {
        let items = Array(items.dropLast())
        return hasSeveral ? [UInt8(ascii: "[")] + items + [UInt8(ascii: "]")] : items
    }
}
