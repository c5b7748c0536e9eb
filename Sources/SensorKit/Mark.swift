/// How far a sensor's readings have come: those up to this one are in the database.
struct Mark: Sendable, Hashable {
    let boot: Int64
    let seq: Int64

    /// A number beyond this could not have come about; below it, arithmetic is safe.
    private static let maximum: Int64 = 1 << 53

    init(boot: Int64, seq: Int64) {
        self.boot = boot
        self.seq = seq
    }

    /// Reads what the hub has on the topic `committed`: `{"boot", "seq"}`. There is one for each reading, so it is read
    /// in place.
    ///
    /// - Throws: `JSONSyntaxError`, `ValidationError`.
    init(_ payload: [UInt8], with parser: JSONParser) throws {
        self = try payload.withUnsafeBytes { bytes in
            try parser.parse(bytes) { tape in
                var boot: Int64?
                var seq: Int64?
                guard tape.kind == .object else { throw ValidationError("expected an object") }
                tape.forEachMember { key, value in
                    let number = value.kind == .int && (0...Self.maximum).contains(value.int) ? value.int : nil
                    if key.elementsEqual("boot".utf8) { boot = number }
                    if key.elementsEqual("seq".utf8) { seq = number }
                }
                guard let boot, let seq else {
                    throw ValidationError("expected 'boot' and 'seq', whole numbers from 0 to \(Self.maximum)")
                }
                return Mark(boot: boot, seq: seq)
            }
        }
    }
}
