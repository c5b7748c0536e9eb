import HubModel
import SimdJSON

/// Why a reading cannot be stored.
struct ReadingFault: Error, Hashable {
    /// Where in the payload: `v.temperature`, or empty for all of it.
    let field: String
    let reason: String
}

/// A reading that fits its type.
struct ParsedReading {
    /// Nil from a device that knows nothing of the hub.
    let key: ReadingKey?
    /// The object that holds the fields.
    let object: JSONTape
    /// One for each field of the type, in its order; nil where the reading has none.
    let values: [JSONTape?]
}

/// Checks payloads of a data topic; see docs/topics.md. A pure function of payload and type.
struct ReadingParser {
    private let parser = JSONParser(maximumBytes: 16 << 20)

    /// 1970 to 2100 in microseconds; what lies outside is no time but a mistake.
    private static let times: ClosedRange<Int64> = 0...4_102_444_800_000_000

    /// How many readings one message may hold.
    private static let maximumReadings = 100_000

    /// Reads a payload.
    ///
    /// - Parameters:
    ///   - accept: called for each good reading, in order; the values are valid only in the call.
    ///   - refuse: called for each bad one, with its text as JSON; nil stands for the whole payload.
    func parse(
        _ payload: UnsafeRawBufferPointer, as type: IngestType,
        accept: (ParsedReading) -> Void, refuse: (ReadingFault, [UInt8]?) -> Void
    ) {
        do {
            try parser.parse(payload) { root in
                guard root.kind == .array else {
                    accept(try reading(root, type))
                    return
                }
                var count = 0
                root.forEachItem { item in
                    count += 1
                    guard count <= Self.maximumReadings else { return }
                    do {
                        accept(try reading(item, type))
                    } catch let fault as ReadingFault {
                        refuse(fault, (try? JSON(item).bytes()) ?? [])
                    } catch {}
                }
                if count > Self.maximumReadings {
                    throw ReadingFault(field: "", reason: "\(count) readings in one message, of which \(Self.maximumReadings) were taken")
                }
            }
        } catch let fault as ReadingFault {
            refuse(fault, nil)
        } catch {
            refuse(ReadingFault(field: "", reason: "\(error)"), nil)
        }
    }

    private func reading(_ item: JSONTape, _ type: IngestType) throws -> ParsedReading {
        guard item.kind == .object else { throw ReadingFault(field: "", reason: "expected an object, found \(item.kind.name)") }
        var time: JSONTape?, boot: JSONTape?, sequence: JSONTape?, fields: JSONTape?
        var hasOther = false
        item.forEachMember { key, value in
            if key.elementsEqual("t".utf8) { time = value }
            else if key.elementsEqual("boot".utf8) { boot = value }
            else if key.elementsEqual("seq".utf8) { sequence = value }
            else if key.elementsEqual("v".utf8) { fields = value }
            else { hasOther = true }
        }
        guard let fields, fields.kind == .object else {
            return ParsedReading(key: nil, object: item, values: try values(of: item, path: "", type))
        }
        if hasOther { throw ReadingFault(field: "", reason: "a reading has 't', 'boot', 'seq' and 'v', and no other key") }
        let key = ReadingKey(
            time: try int(time, "t", Self.times), boot: try int(boot, "boot", 0...Int64.max),
            sequence: try int(sequence, "seq", 0...Int64.max))
        return ParsedReading(key: key, object: fields, values: try values(of: fields, path: "v.", type))
    }

    private func int(_ value: JSONTape?, _ name: String, _ range: ClosedRange<Int64>) throws -> Int64 {
        guard let value else { throw ReadingFault(field: name, reason: "is missing") }
        guard value.kind == .int else { throw ReadingFault(field: name, reason: "expected a whole number, found \(value.kind.name)") }
        guard range.contains(value.int) else { throw ReadingFault(field: name, reason: "\(value.int) is out of range") }
        return value.int
    }

    private func values(of object: JSONTape, path: String, _ type: IngestType) throws -> [JSONTape?] {
        var values = [JSONTape?](repeating: nil, count: type.fields.count)
        var position = 0
        var isEmpty = true
        try object.forEachMember { key, value in
            // Fields mostly come in the type's order.
            if position >= type.fields.count || !key.elementsEqual(type.fields[position].name.utf8) {
                guard let found = type.fields.firstIndex(where: { key.elementsEqual($0.name.utf8) }) else {
                    let name = String(decoding: key.prefix(80), as: UTF8.self)
                    let hint = didYouMean(name, among: type.fields.map(\.name))
                    throw ReadingFault(field: path + name, reason: "the sensor's type has no such field\(hint)")
                }
                position = found
            }
            let field = type.fields[position]
            if value.kind != .null {
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
            position += 1
        }
        if isEmpty { throw ReadingFault(field: String(path.dropLast()), reason: "there is no value in it") }
        return values
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

extension JSONTape.Kind {
    /// The kind as a person would name it.
    fileprivate var name: String {
        switch self {
        case .null: "null"
        case .bool: "true or false"
        case .int: "a whole number"
        case .double: "a number"
        case .string: "text"
        case .array: "a list"
        case .object: "an object"
        }
    }
}
