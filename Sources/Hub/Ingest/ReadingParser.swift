import HubModel
import SimdJSON

/// Why a reading cannot be stored.
struct ReadingFault: Error, Hashable {
    /// Where in the payload: `v.temperature`, or empty for all of it.
    let field: String
    let reason: String
}

/// A reading that fits its type; valid only while the parser handles it.
struct ParsedReading {
    /// Nil from a device that knows nothing of the hub.
    let key: ReadingKey?
    /// True where the driver's clock was not right yet.
    let isUncertain: Bool
    /// The object that holds the fields.
    let object: JSONTape
    /// One for each field of the type, in its order; nil where the reading has none.
    let values: UnsafeBufferPointer<JSONTape?>
}

/// What stands in the payload of a data topic.
enum ParsedItem {
    case reading(ParsedReading)
    /// - Parameters:
    ///   - text: the reading as JSON; nil where the whole payload is at fault.
    ///   - key: where that much could be read.
    case refused(ReadingFault, text: [UInt8]?, key: ReadingKey?)
    /// The driver has given these readings up, or says how many a boot had.
    case note(SequenceNotes.Note)
    /// The driver has learnt how wrong its clock was when it stamped these readings.
    case clock(ClockCorrection)
}

/// By how much the readings of a boot were stamped wrong.
struct ClockCorrection: Hashable {
    let boot: Int64
    let sequences: ClosedRange<Int64>
    /// In microseconds, to be added to the readings' time.
    let offset: Int64
}

/// Checks payloads of a data topic; see docs/topics.md. What it says depends on payload and type alone; it keeps its
/// buffers from one payload to the next.
final class ReadingParser {
    private let parser = JSONParser(maximumBytes: 16 << 20)
    private var values: [JSONTape?] = []

    /// 1970 to 2100 in microseconds; what lies outside is no time but a mistake.
    private static let times: ClosedRange<Int64> = 0...4_102_444_800_000_000

    /// How many readings one message may hold.
    private static let maximumReadings = 100_000

    /// Reads a payload, and hands over what stands in it, in order. A reading is valid only in the call.
    func parse(_ payload: UnsafeRawBufferPointer, as type: IngestType, _ take: (ParsedItem) -> Void) {
        do {
            try parser.parse(payload) { root in
                guard root.kind == .array else {
                    self.item(root, type, text: nil, take)
                    return
                }
                var count = 0
                root.forEachItem { item in
                    count += 1
                    if count <= Self.maximumReadings { self.item(item, type, text: item, take) }
                }
                if count > Self.maximumReadings {
                    throw ReadingFault(
                        field: "",
                        reason: "\(count) readings in one message, of which \(Self.maximumReadings) were taken")
                }
            }
        } catch let fault as ReadingFault {
            take(.refused(fault, text: nil, key: nil))
        } catch {
            take(.refused(ReadingFault(field: "", reason: "\(error)"), text: nil, key: nil))
        }
    }

    /// What the keys of an item other than fields say.
    private struct Envelope {
        var time: JSONTape?, boot: JSONTape?, sequence: JSONTape?, fields: JSONTape?, uncertain: JSONTape?
        var lost: JSONTape?, end: JSONTape?, clock: JSONTape?, offset: JSONTape?
        var members = 0
        var hasOther = false

        init(_ item: JSONTape) {
            item.forEachMember { key, value in
                members += 1
                switch (key.count, key.first) {
                case (1, UInt8(ascii: "t")): time = value
                case (1, UInt8(ascii: "v")): fields = value
                case (1, UInt8(ascii: "u")): uncertain = value
                case (3, _) where key.elementsEqual("seq".utf8): sequence = value
                case (3, _) where key.elementsEqual("end".utf8): end = value
                case (4, _) where key.elementsEqual("boot".utf8): boot = value
                case (4, _) where key.elementsEqual("lost".utf8): lost = value
                case (5, _) where key.elementsEqual("clock".utf8): clock = value
                case (6, _) where key.elementsEqual("offset".utf8): offset = value
                default: hasOther = true
                }
            }
        }
    }

    private func item(_ item: JSONTape, _ type: IngestType, text: JSONTape?, _ take: (ParsedItem) -> Void) {
        var key: ReadingKey?
        do {
            guard item.kind == .object else {
                throw ReadingFault(field: "", reason: "expected an object, found \(item.kind.name)")
            }
            let envelope = Envelope(item)
            if let fields = envelope.fields, fields.kind == .object {
                key = try self.key(envelope)
                try readValues(of: fields, path: "v.", type)
                let isUncertain = envelope.uncertain.map { $0.kind == .bool && $0.bool } ?? false
                values.withUnsafeBufferPointer {
                    take(.reading(ParsedReading(key: key, isUncertain: isUncertain, object: fields, values: $0)))
                }
            } else if let note = try note(envelope) {
                take(note)
            } else {
                try readValues(of: item, path: "", type)
                values.withUnsafeBufferPointer {
                    take(.reading(ParsedReading(key: nil, isUncertain: false, object: item, values: $0)))
                }
            }
        } catch {
            let bytes = text.map { text in
                var bytes: [UInt8] = []
                text.write(to: &bytes)
                return bytes
            }
            let fault = error as? ReadingFault ?? ReadingFault(field: "", reason: "\(error)")
            take(.refused(fault, text: bytes, key: key))
        }
    }

    private func key(_ envelope: Envelope) throws -> ReadingKey {
        let isAlone = !envelope.hasOther && envelope.lost == nil && envelope.end == nil && envelope.clock == nil
        guard isAlone, envelope.offset == nil else {
            throw ReadingFault(
                field: "", reason: "a reading has 't', 'boot', 'seq' and 'v', perhaps 'u', and no other key")
        }
        return ReadingKey(
            time: try int(envelope.time, "t", Self.times), boot: try int(envelope.boot, "boot", Self.numbers),
            sequence: try int(envelope.sequence, "seq", Self.numbers))
    }

    /// What a driver says besides readings. Other devices may have fields of these names, so it takes the whole form to be
    /// one.
    private func note(_ envelope: Envelope) throws -> ParsedItem? {
        guard !envelope.hasOther, let boot = envelope.boot, boot.kind == .int else { return nil }
        if let lost = envelope.lost, lost.kind == .array, envelope.members == 2 {
            return .note(
                .lost(
                    boot: try int(boot, "boot", Self.numbers), try range(lost, "lost")))
        }
        if let end = envelope.end, envelope.members == 2 {
            return .note(
                .ended(
                    boot: try int(boot, "boot", Self.numbers), at: try int(end, "end", Self.numbers)))
        }
        if let clock = envelope.clock, clock.kind == .array, let offset = envelope.offset, envelope.members == 3 {
            let limit = Self.times.upperBound
            return .clock(
                ClockCorrection(
                    boot: try int(boot, "boot", Self.numbers), sequences: try range(clock, "clock"),
                    offset: try int(offset, "offset", -limit...limit)))
        }
        return nil
    }

    /// What `boot` and `seq` may be: far more than anybody counts, and far from overflow.
    private static let numbers: ClosedRange<Int64> = 0...1 << 53

    private func range(_ value: JSONTape, _ name: String) throws -> ClosedRange<Int64> {
        var bounds: [Int64] = []
        try value.forEachItem { bounds.append(try int($0, name, Self.numbers)) }
        guard bounds.count == 2, bounds[0] <= bounds[1] else {
            throw ReadingFault(field: name, reason: "expected [first, last]")
        }
        return bounds[0]...bounds[1]
    }

    private func int(_ value: JSONTape?, _ name: String, _ range: ClosedRange<Int64>) throws -> Int64 {
        guard let value else { throw ReadingFault(field: name, reason: "is missing") }
        guard value.kind == .int else {
            throw ReadingFault(field: name, reason: "expected a whole number, found \(value.kind.name)")
        }
        guard range.contains(value.int) else { throw ReadingFault(field: name, reason: "\(value.int) is out of range") }
        return value.int
    }

    /// Finds and checks the value of each field.
    private func readValues(of object: JSONTape, path: String, _ type: IngestType) throws {
        values.removeAll(keepingCapacity: true)
        values.append(contentsOf: repeatElement(nil, count: type.fields.count))
        var expected = 0
        var isEmpty = true
        try object.forEachMember { key, value in
            guard let position = type.position(of: key, expected: expected) else {
                let name = String(decoding: key.prefix(80), as: UTF8.self)
                let hint = didYouMean(name, among: type.fields.map(\.name))
                throw ReadingFault(field: path + name, reason: "the sensor's type has no such field\(hint)")
            }
            expected = position + 1
            guard value.kind != .null else { return }
            let field = type.fields[position]
            guard field.type.accepts(value) else {
                throw ReadingFault(
                    field: path + field.name, reason: "expected \(field.type.expectation), found \(value.kind.name)")
            }
            if field.type == .string, value.utf8.contains(0) {
                throw ReadingFault(field: path + field.name, reason: "text with the character NUL cannot be stored")
            }
            guard values[position] == nil else {
                throw ReadingFault(field: path + field.name, reason: "stands here twice")
            }
            values[position] = value
            isEmpty = false
        }
        if isEmpty { throw ReadingFault(field: String(path.dropLast()), reason: "there is no value in it") }
    }
}

extension FieldType {
    fileprivate func accepts(_ value: JSONTape) -> Bool {
        switch (self, value.kind) {
        case (.string, .string), (.int, .int), (.float, .int), (.float, .double), (.bool, .bool): true
        default: false
        }
    }
}
