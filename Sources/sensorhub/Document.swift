import Files
import SimdJSON

/// A JSON file that a person wrote.
enum Document {
    /// Reads and parses it; the hub checks what it says.
    ///
    /// - Throws: `CommandError` that names the file and, for what is not JSON, the place.
    static func read(_ path: String) throws -> JSON {
        let bytes: [UInt8]
        do {
            bytes = try File.beginning(of: path, limit: (16 << 20) + 1)
        } catch {
            throw CommandError("\(error)")
        }
        guard bytes.count <= 16 << 20 else { throw CommandError("\(path): larger than 16 MiB") }
        do {
            return try JSON(parsing: bytes)
        } catch {
            if !bytes.isEmpty, let place = JSONPlace(of: bytes) {
                throw CommandError("\(path): not valid JSON: \(place)")
            }
            throw CommandError("\(path): \(error)")
        }
    }
}
