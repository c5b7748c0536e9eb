/// Puts the records of a program's journal into their order that come from two sides: from its node at once, where some
/// may be lost on the way, and from the hub later, where all of them are. Each is given out once.
public struct RecordSequence<Record> {
    /// Of the last record that was given out, or that the hub knew to be no line.
    public private(set) var position: JournalPosition
    /// What came before its turn.
    private var waiting: [JournalPosition: Record] = [:]

    /// What is more has to come from the hub.
    private static var maximumWaiting: Int { 10_000 }

    /// - Parameter position: what there is up to here is known already; nil where nothing is.
    public init(after position: JournalPosition? = nil) {
        self.position = position ?? JournalPosition(origin: 0, number: 0)
    }

    /// True where records are missing before one that is there: the hub is to be asked for those after `position`.
    public var isIncomplete: Bool { !waiting.isEmpty }

    /// Takes what the node tells.
    ///
    /// - Returns: what it is the turn of now.
    public mutating func take(_ record: Record, at position: JournalPosition) -> [Record] {
        guard position > self.position else { return [] }
        // A later journal than one that is known begins where the hub says so: it may have more of the one before.
        let origin = self.position.origin == 0 ? position.origin : self.position.origin
        guard position == JournalPosition(origin: origin, number: self.position.number + 1) else {
            if waiting.count < Self.maximumWaiting { waiting[position] = record }
            return []
        }
        self.position = position
        return [record] + due()
    }

    /// Takes what the hub has on record after `position`.
    ///
    /// - Parameters:
    ///   - records: in their order.
    ///   - end: there are no others up to here.
    /// - Returns: what it is the turn of now.
    public mutating func take(
        onRecord records: [(position: JournalPosition, record: Record)], upTo end: JournalPosition?
    ) -> [Record] {
        var result: [Record] = []
        for (position, record) in records where position > self.position {
            self.position = position
            result.append(record)
        }
        if let end, end > position { position = end }
        for known in waiting.keys where known <= position { waiting[known] = nil }
        return result + due()
    }

    private mutating func due() -> [Record] {
        var result: [Record] = []
        while let next = waiting.removeValue(
            forKey: JournalPosition(origin: position.origin, number: position.number + 1))
        {
            position = JournalPosition(origin: position.origin, number: position.number + 1)
            result.append(next)
        }
        return result
    }
}
