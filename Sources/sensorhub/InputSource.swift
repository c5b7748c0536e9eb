import Glibc
import HubModel

/// Input for a program out of a file, `-` for standard input, in pieces of what one request takes; of a terminal or pipe,
/// what is there.
struct InputSource: ~Copyable {
    private let name: String
    private let descriptor: Int32

    init(_ name: String) throws {
        self.name = name
        descriptor = name == "-" ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw CommandError("\(name): \(String(cString: strerror(errno)))") }
    }

    deinit {
        if descriptor != STDIN_FILENO { close(descriptor) }
    }

    /// Nil at the end.
    func next() throws -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: InputRequest.maximumInputBytes)
        var count: Int
        repeat { count = read(descriptor, &buffer, buffer.count) } while count < 0 && errno == EINTR
        guard count >= 0 else { throw CommandError("\(name): \(String(cString: strerror(errno)))") }
        return count == 0 ? nil : Array(buffer[..<count])
    }
}
