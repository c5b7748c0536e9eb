import Glibc
import SensorKit

/// The space of a file system, in the way of `df`: what only root may use counts neither as used nor as free.
struct DiskSpace: Hashable {
    /// Bytes.
    let used: Int64
    /// Bytes that programs without root's rights can still write.
    let available: Int64

    /// - Parameter blockSize: `f_frsize`, the unit of the other three: `f_blocks`, `f_bfree`, `f_bavail` (statvfs(3)).
    init(blockSize: UInt, blocks: UInt, free: UInt, available: UInt) {
        func bytes(_ blocks: UInt) -> Int64 {
            let (product, overflow) = blocks.multipliedReportingOverflow(by: blockSize)
            return overflow ? .max : Int64(clamping: product)
        }
        used = bytes(blocks - min(free, blocks))
        self.available = bytes(available)
    }

    /// - Parameter path: any file or folder of the file system.
    init(of path: String) throws(SensorFault) {
        var answer = statvfs()
        guard statvfs(path, &answer) == 0 else {
            throw SensorFault("no disk space is known for path '\(path)': \(String(cString: strerror(errno)))")
        }
        self.init(
            blockSize: UInt(answer.f_frsize), blocks: UInt(answer.f_blocks), free: UInt(answer.f_bfree),
            available: UInt(answer.f_bavail))
    }

    /// Nil for a file system without space of its own, as /proc.
    var usedPercent: Double? {
        let whole = Double(used) + Double(available)
        return whole > 0 ? 100 * Double(used) / whole : nil
    }
}
