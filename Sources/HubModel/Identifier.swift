/// The id of a hub, sensor instance, app, algorithm instance or node: `[A-Za-z0-9_-]{1,64}`, so that it can stand in a
/// topic, a file name and a broker's user list as it is.
public struct Identifier: Sendable, Hashable, CustomStringConvertible {
    public let text: String

    /// Nil unless `text` has the form of an id.
    public init?(_ text: some StringProtocol) {
        guard (1...64).contains(text.utf8.count), text.utf8.allSatisfy(Self.isAllowed) else { return nil }
        self.text = String(text)
    }

    public var description: String { text }

    /// What an id looks like, for errors.
    public static let rule = "1 to 64 letters, digits, '_' or '-'"

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
