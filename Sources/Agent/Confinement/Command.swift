import Files
import Glibc

/// Programs of the system that are run to see what the machine can do. Blocks.
enum Command {
    struct Result {
        let isSuccess: Bool
        /// What it said, or how it ended.
        let reason: String
    }

    /// One that hangs is killed after this time.
    private static let patience = Duration.seconds(10)

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

    static func run(_ arguments: [String], environment: [String: String] = [:]) -> Result {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return Result(isSuccess: false, reason: String(cString: strerror(errno))) }
        ends.forEach { fcntl($0, F_SETFD, FD_CLOEXEC) }
        defer { close(ends[0]) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 2)
        let variables = environment.merging(["PATH": defaultPath, "LANG": "C.UTF-8"]) { given, _ in given }
        var pid: pid_t = 0
        let code = withCStrings(arguments) { arguments in
            withCStrings(variables.map { "\($0.key)=\($0.value)" }) { variables in
                posix_spawn(&pid, arguments[0]!, &actions, nil, arguments, variables)
            }
        }
        close(ends[1])
        guard code == 0 else { return Result(isSuccess: false, reason: String(cString: strerror(code))) }

        let deadline = ContinuousClock.now + patience
        var status: Int32 = 0
        while waitpid(pid, &status, WNOHANG) == 0 {
            if ContinuousClock.now > deadline {
                kill(pid, SIGKILL)
                waitpid(pid, &status, 0)
                return Result(isSuccess: false, reason: "it does not end")
            }
            usleep(2_000)
        }
        var said = [UInt8](repeating: 0, count: 500)
        fcntl(ends[0], F_SETFL, O_NONBLOCK)
        let count = max(0, read(ends[0], &said, said.count))
        let lines = String(decoding: said[..<count], as: UTF8.self).split(whereSeparator: \.isNewline)
        return Result(
            isSuccess: status == 0, reason: lines.isEmpty ? "wait status \(status)" : lines.joined(separator: "; "))
    }
}

private func withCStrings<Result>(
    _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
) -> Result {
    let pointers = strings.map { strdup($0) }
    defer { pointers.forEach { free($0) } }
    return body(pointers + [nil])
}
