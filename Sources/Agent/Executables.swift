import Files
import Glibc

/// Where programs of the system are.
enum Executables {
    /// The path of a program in PATH.
    static func find(_ name: String) -> String? {
        let path = ourEnvironment { $0 == "PATH" }["PATH"] ?? defaultPath
        return path.split(separator: ":").filter { $0.hasPrefix("/") }.map { "\($0)/\(name)" }
            .first { File.isExecutable($0) && !File.isFolder($0) }
    }

    /// Without links; nil where there is no such file.
    static func realPath(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}
