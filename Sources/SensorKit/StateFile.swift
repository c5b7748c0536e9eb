import Glibc

/// What a driver itself must remember over its restarts, as a meter's total: `{instance}.state` in the state directory.
///
/// It is written in place with one system call, which needs no room on a full disk and goes to the kernel's memory: what
/// was saved outlives `kill -9`, and the disk sees one write in about half a minute however often it is saved. A power cut
/// can take as much. Without a state directory nothing is kept.
public struct StateFile: Sendable {
    private let path: String?
    private let log: Log
    private var isFailing = false

    /// One sector of a disk.
    private static let size = 512

    /// - Parameter directory: nil where there is none.
    public init(directory: String?, instance: Identifier, log: Log) {
        path = directory.map { "\($0)/\(instance).state" }
        self.log = log
    }

    /// What was saved last; nil where there is nothing. To be called in the first `read`, not in the driver's `init`: only
    /// then is it certain that a process before this one has ended.
    ///
    /// A file that cannot be read is logged, and counts as none.
    public func load() -> JSONObject? {
        guard let path else { return nil }
        do {
            guard let state = try JSON(parsing: File.bytes(of: path, limit: Self.size)).object else {
                throw ValidationError(path: "", "expected an object")
            }
            return state
        } catch let error as FileError where error.isNotFound {
            return nil
        } catch {
            log.error("\(path): what was remembered is lost, it begins anew (\(error))")
            return nil
        }
    }

    /// Puts `state` in place of what was saved. Where that fails it is logged, once until it succeeds again.
    ///
    /// - Parameter state: less than 512 bytes of JSON.
    public mutating func save(_ state: JSONObject) {
        guard let path else { return }
        do throws(FileError) {
            try write(state, path)
            isFailing = false
        } catch {
            if !isFailing { log.error("after a restart, this will not be remembered: \(error)") }
            isFailing = true
        }
    }

    private func write(_ state: JSONObject, _ path: String) throws(FileError) {
        var bytes = JSON.object(state).bytes()
        guard bytes.count <= Self.size else { throw FileError(path, EFBIG) }
        bytes += repeatElement(UInt8(ascii: " "), count: Self.size - bytes.count)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw FileError(path, errno) }
        defer { close(descriptor) }
        let count = pwrite(descriptor, bytes, bytes.count, 0)
        guard count == bytes.count else { throw FileError(path, count < 0 ? errno : ENOSPC) }
    }
}
