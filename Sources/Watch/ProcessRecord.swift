import Files
import Glibc
import HubModel
package import SimdJSON

/// What identifies a process for as long as the machine is up, kept in a file so that a later supervisor finds it.
package struct ProcessRecord: Equatable {
    package let name: String
    package let pid: Int32
    /// Clock ticks from the machine's start to the process's.
    package let startTime: Int64
    /// The machine's start.
    package let boot: String
    /// Of the specification that it was made by.
    let wrappers: Int

    package init(name: String, pid: Int32, startTime: Int64, boot: String, wrappers: Int = 0) {
        self.name = name
        self.pid = pid
        self.startTime = startTime
        self.boot = boot
        self.wrappers = wrappers
    }

    /// Nil when there is no such process.
    package init?(name: String, pid: Int32, wrappers: Int = 0) {
        guard let process = ProcessStat(pid: pid) else { return nil }
        self.init(name: name, pid: pid, startTime: process.startTime, boot: Self.boot, wrappers: wrappers)
    }

    /// True while the process that the record was made of lives.
    package var isAlive: Bool {
        guard boot == Self.boot, let process = ProcessStat(pid: pid) else { return false }
        return process.startTime == startTime && !process.isZombie
    }

    /// The kernel's id of the machine's present run.
    package static let boot: String = {
        let bytes = (try? File.bytes(of: "/proc/sys/kernel/random/boot_id")) ?? []
        return String(decoding: bytes.filter { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }()

    // MARK: File

    /// One sector of a disk; more than a record needs.
    private static let fileSize = 512

    /// Writes in place, and always as much: a program that is started again on a full disk needs no room for its
    /// record.
    package func write(to path: String) throws(FileError) {
        let json: JSON = [
            "name": .string(name), "pid": .int(Int64(pid)), "start_time": .int(startTime), "boot": .string(boot),
            "wrappers": .int(Int64(wrappers)),
        ]
        var bytes = json.bytes()
        bytes += repeatElement(UInt8(ascii: " "), count: max(0, Self.fileSize - bytes.count))
        let descriptor = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw FileError(path) }
        defer { close(descriptor) }
        let count = pwrite(descriptor, bytes, bytes.count, 0)
        guard count == bytes.count else { throw FileError(path, count < 0 ? errno : ENOSPC) }
        // One of a longer name may have been there.
        guard ftruncate(descriptor, off_t(count)) == 0 else { throw FileError(path) }
    }

    /// Nil for a file that is no record.
    package init?(readingFrom path: String) {
        guard let bytes = try? File.bytes(of: path, limit: 64 << 10), let json = try? JSON(parsing: bytes) else {
            return nil
        }
        let reader = DocumentReader(json)
        do {
            name = try reader.required("name").string()
            // 0 and 1 would be every process of ours, and init.
            pid = Int32(try reader.required("pid").int(2...Int64(Int32.max)))
            startTime = try reader.required("start_time").int()
            boot = try reader.required("boot").string()
            wrappers = Int(try reader.optional("wrappers")?.int(0...16) ?? 0)
        } catch {
            return nil
        }
    }
}
