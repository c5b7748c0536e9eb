import Glibc

/// What a sensor's driver remembers of its earlier starts, in the state directory: the numbers it has used, so that the
/// next start uses higher ones even where the clock has gone back and the hub cannot be asked; and a time that was.
struct BootFile {
    struct Content: Hashable {
        /// The last reading of each boot, oldest boot first; number 0 where there was none.
        var boots: [Position] = []
        /// Microseconds since 1970.
        var time: Int64 = 0
    }

    private let path: String
    /// One sector of a disk. The file is written in place, which needs no room on a full disk.
    private static let size = 512
    static let keptBoots = 10

    init(directory: String, instance: Identifier) {
        path = "\(directory)/\(instance).boots"
    }

    /// Nil where there is none yet.
    ///
    /// - Throws: `FileError`; `JSONSyntaxError`, `ValidationError` for a file with something else in it.
    func read() throws -> Content? {
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try File.beginning(of: path, limit: Self.size)
        } catch {
            if error.isNotFound { return nil }
            throw error
        }
        let json = try JSON(parsing: bytes)
        var content = Content()
        let numbers = 0...Position.maximum
        guard let time = json["time"]?.int, let boots = json["boots"]?.array, time >= 0 else { throw invalid }
        content.time = time
        for item in boots {
            guard let pair = item.array, pair.count == 2, let boot = pair[0].int, let seq = pair[1].int,
                numbers.contains(boot), numbers.contains(seq), content.boots.last.map({ $0.boot < boot }) ?? true
            else { throw invalid }
            content.boots.append(Position(boot: boot, seq: seq))
        }
        return content
    }

    private var invalid: ValidationError {
        ValidationError(path: path, #"expected {"boots": [[boot, seq], …], "time"}"#)
    }

    /// - Parameter isDurable: true where it must outlive a power cut; that costs a write to the disk.
    func write(_ content: Content, isDurable: Bool) throws(FileError) {
        let boots = content.boots.suffix(Self.keptBoots).map { JSON.array([.int($0.boot), .int($0.seq)]) }
        var bytes = JSON.object(["boots": .array(boots), "time": .int(content.time)]).bytes()
        bytes += repeatElement(UInt8(ascii: " "), count: max(0, Self.size - bytes.count))
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw FileError(path, errno) }
        defer { close(descriptor) }
        let count = pwrite(descriptor, bytes, bytes.count, 0)
        guard count == bytes.count else { throw FileError(path, count < 0 ? errno : ENOSPC) }
        if isDurable, fsync(descriptor) != 0 { throw FileError(path, errno) }
    }
}
