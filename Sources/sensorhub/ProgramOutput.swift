import Glibc

/// Runs a program of ours to its end, with nothing to read; errors that it writes go where ours go.
///
/// - Returns: what it wrote to standard output.
/// - Throws: `CommandError` where it cannot be started, fails or writes more than 16 MiB.
func output(of program: String, _ arguments: [String]) throws -> [UInt8] {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw CommandError("pipe: \(String(cString: strerror(errno)))") }
    defer { close(ends[0]) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
    for end in ends { posix_spawn_file_actions_addclose(&actions, end) }

    var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) } + [nil]
    defer { words.forEach { free($0) } }
    var pid: pid_t = 0
    let code = posix_spawn(&pid, program, &actions, nil, &words, environ)
    close(ends[1])
    guard code == 0 else { throw CommandError("\(program) cannot be started: \(String(cString: strerror(code)))") }

    let limit = 16 << 20
    var result: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while result.count <= limit {
        let count = read(ends[0], &buffer, buffer.count)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { break }
        result += buffer[..<count]
    }
    if result.count > limit { kill(pid, SIGKILL) }
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    guard result.count <= limit else { throw CommandError("\(program) writes more than 16 MiB") }
    guard status == 0 else {
        // The low bits are the signal that ended it, the byte above them its exit code (wait(2)).
        let signal = status & 0x7F
        throw CommandError(
            "\(program) \(signal == 0 ? "failed with exit code \(status >> 8 & 0xFF)" : "was ended by signal \(signal)")"
        )
    }
    return result
}
