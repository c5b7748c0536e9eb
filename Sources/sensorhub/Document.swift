import Files
import FoundationEssentials
import SimdJSON

/// A JSON file that a person wrote.
enum Document {
    /// Reads and parses it; the hub checks what it says.
    ///
    /// - Throws: `CommandError` that names the file and, for what is not JSON, the place.
    static func read(_ path: String) throws -> JSON {
        let bytes: [UInt8]
        do {
            bytes = try File.bytes(of: path)
        } catch {
            throw CommandError("\(error)")
        }
        guard bytes.count <= 16 << 20 else { throw CommandError("\(path): larger than 16 MiB") }
        do {
            return try JSON(parsing: bytes)
        } catch {
            throw CommandError("\(path): \(error)\(place(in: bytes))")
        }
    }

    /// Line and column of a syntax error: simdjson does not tell, Foundation's parser does.
    private static func place(in bytes: [UInt8]) -> String {
        do {
            _ = try JSONDecoder().decode(Anything.self, from: Data(bytes))
            return ""
        } catch DecodingError.dataCorrupted(let context) {
            let text = context.underlyingError.map { "\($0)" } ?? context.debugDescription
            let reason = text.split(separator: "\"").first { $0.contains("line") } ?? text[...]
            return " (\(reason))"
        } catch {
            return ""
        }
    }

    private struct Anything: Decodable {
        init(from decoder: any Decoder) throws {}
    }
}
