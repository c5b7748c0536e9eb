import Files
import Glibc

/// What the kernel tells of a control group (v2).
public enum ControlGroup {
    /// How many processes of the group the kernel has killed because its memory was used up, since the group was made.
    ///
    /// - Parameter folder: the group's.
    /// - Returns: nil where that is not told: there is no such group, or memory is not held there.
    public static func outOfMemoryKills(in folder: String) -> Int64? {
        guard let bytes = try? File.beginning(of: "\(folder)/memory.events", limit: 4_096) else { return nil }
        return outOfMemoryKills(in: bytes)
    }

    /// The path of a process's group below the mount, also while it is a zombie.
    ///
    /// - Returns: nil where there is no such process, or no group of version 2.
    static func path(of pid: Int32) -> String? {
        (try? File.beginning(of: "/proc/\(pid)/cgroup", limit: 8_192)).flatMap(path(in:))
    }

    /// Reads `/proc/PID/cgroup` (cgroups(7)): a line for each hierarchy, and that of version 2 has the number 0.
    static func path(in text: [UInt8]) -> String? {
        for line in text.split(separator: UInt8(ascii: "\n")) where line.starts(with: "0::/".utf8) {
            let path = String(decoding: line.dropFirst(3), as: UTF8.self)
            let mark = " (deleted)"
            return path.hasSuffix(mark) ? String(path.dropLast(mark.count)) : path
        }
        return nil
    }

    /// Reads `memory.events`: a name and a number in each line (the kernel's Documentation/admin-guide/cgroup-v2.rst).
    static func outOfMemoryKills(in events: [UInt8]) -> Int64? {
        for line in events.split(separator: UInt8(ascii: "\n")) {
            var text = ProcText(line)
            guard let name = text.word(), name.elementsEqual("oom_kill".utf8) else { continue }
            return text.number().map { max(0, $0) }
        }
        return nil
    }
}
