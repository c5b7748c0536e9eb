import Glibc

/// Symbolic links of sysfs, which lead from a thing to those that it belongs to.
public enum KernelLink {
    /// The last part of where a link leads; nil where there is no link.
    public static func last(of path: String) -> String? {
        var target = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = target.withUnsafeMutableBytes { readlink(path, $0.baseAddress!, $0.count) }
        guard count > 0 else { return nil }
        return target[..<count].split(separator: UInt8(ascii: "/")).last.map { String(decoding: $0, as: UTF8.self) }
    }
}
