import CShims

/// A document that is not JSON, with simdjson's reason.
public struct JSONSyntaxError: Error, Hashable, CustomStringConvertible {
    public let reason: String
    public var description: String { "not valid JSON: \(reason)" }
}

/// A reusable parser. It keeps its buffers, so keep one where many documents are parsed; it is for one thread.
public final class JSONParser {
    private var parser: OpaquePointer
    private let maximumBytes: Int

    /// Buffers that grew beyond this are given back after the document.
    private static let keptCapacity = 1 << 20

    /// - Parameter maximumBytes: a larger document is refused.
    public init(maximumBytes: Int = 64 << 20) {
        self.maximumBytes = maximumBytes
        parser = Self.make(maximumBytes)
    }

    deinit {
        sh_json_parser_destroy(parser)
    }

    /// Parses `bytes` and hands the document to `body`, which must not keep it.
    ///
    /// - Throws: `JSONSyntaxError`, and whatever `body` throws. Text that is not UTF-8, numbers beyond the range of a
    ///   double and nesting deeper than 1,024 are syntax errors too.
    public func parse<Result>(_ bytes: UnsafeRawBufferPointer, _ body: (JSONTape) throws -> Result) throws -> Result {
        defer {
            if sh_json_parser_capacity(parser) > Self.keptCapacity {
                sh_json_parser_destroy(parser)
                parser = Self.make(maximumBytes)
            }
        }
        guard let start = bytes.baseAddress, !bytes.isEmpty else { throw JSONSyntaxError(reason: "empty") }
        var tape = sh_json_tape()
        let code = sh_json_parse(parser, start.assumingMemoryBound(to: UInt8.self), bytes.count, &tape)
        guard code == 0, let words = tape.tape, let strings = tape.strings else {
            throw JSONSyntaxError(reason: Self.reason(code))
        }
        return try body(JSONTape(words: words, strings: strings, index: 1))
    }

    private static func make(_ maximumBytes: Int) -> OpaquePointer {
        guard let parser = sh_json_parser_create(maximumBytes) else { fatalError("out of memory") }
        return parser
    }

    /// simdjson's message, without its advice to programmers.
    private static func reason(_ code: Int32) -> String {
        let message = sh_json_error_message(code).map { String(cString: $0) } ?? "error \(code)"
        let firstSentence = message.prefix { $0 != "." }
        return firstSentence.prefix(1).lowercased() + firstSentence.dropFirst()
    }
}

extension JSON {
    /// Parses a document.
    ///
    /// - Throws: `JSONSyntaxError`; an object with the same key twice is one.
    public init(parsing bytes: some Collection<UInt8>) throws {
        let parser = JSONParser()
        let parsed = try bytes.withContiguousStorageIfAvailable { buffer in
            try parser.parse(UnsafeRawBufferPointer(buffer)) { try JSON($0) }
        }
        self = try parsed ?? Array(bytes).withUnsafeBytes { bytes in try parser.parse(bytes) { try JSON($0) } }
    }

    /// Parses a document.
    public init(parsing text: String) throws {
        try self.init(parsing: text.utf8)
    }
}
