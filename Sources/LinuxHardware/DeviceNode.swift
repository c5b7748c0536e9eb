import Glibc
import SensorKit

/// A device file under /dev.
enum DeviceNode {
    /// Opens it for reading and writing.
    static func open(_ path: String) throws(SensorFault) -> Int32 {
        let descriptor = Glibc.open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw fault(path, errno) }
        return descriptor
    }

    /// Why it cannot be opened, and what helps.
    static func fault(_ path: String, _ code: Int32) -> SensorFault {
        guard code == EACCES || code == EPERM else { return SensorFault(FileError(path, code).description) }
        var status = stat()
        guard stat(path, &status) == 0 else { return SensorFault(FileError(path, code).description) }
        let group = groupName(status.st_gid)
        // Only root's group and no other: there is no group to join.
        guard status.st_gid != 0, status.st_mode & 0o060 == 0o060 else {
            return SensorFault(
                """
                no permission to open \(path): only root may; a rule for udev can give it to a group, as Debian's does \
                with group 'gpio' or 'i2c'
                """)
        }
        let account = accountName(geteuid())
        return SensorFault(
            """
            no permission to open \(path): group '\(group)' may; make '\(account)' a member (usermod -aG \(group) \
            \(account)) and start anew
            """)
    }

    private static func groupName(_ id: gid_t) -> String { name(of: id, in: "/etc/group") ?? "\(id)" }

    private static func accountName(_ id: uid_t) -> String { name(of: id, in: "/etc/passwd") ?? "\(id)" }

    /// Both files have lines `name:password:id:…`. The C library's way would load the libraries of all name services.
    private static func name(of id: UInt32, in path: String) -> String? {
        guard let text = try? File.text(of: path, limit: 1 << 20) else { return nil }
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 3, omittingEmptySubsequences: false)
            if parts.count == 4, parts[2] == "\(id)" { return String(parts[0]) }
        }
        return nil
    }
}
