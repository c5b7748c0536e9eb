import Glibc

/// Programs of the system that are asked something. Blocks.
package enum SystemCommand {
    package struct Result: Sendable {
        package let isSuccess: Bool
        /// The beginning of its stdout.
        package let output: String
        /// What it said on its stderr, or how it ended.
        package let reason: String
    }

    /// One that hangs is killed after this time.
    private static let patience = Duration.seconds(10)

    /// - Parameter arguments: the path of the program first. It has no environment.
    package static func run(_ arguments: [String]) -> Result {
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer { close(null) }
        guard let output = Ends(), let errors = Ends() else { return failed(String(cString: strerror(errno))) }
        let pid: Int32
        do throws(LaunchError) {
            pid = try ProgramProcess.spawn(
                arguments[0], arguments: Array(arguments.dropFirst()), streams: (null, output.write, errors.write))
        } catch {
            return failed(error.reason)
        }

        let deadline = ContinuousClock.now + patience
        var status: Int32 = 0
        while waitpid(pid, &status, WNOHANG) == 0 {
            if ContinuousClock.now > deadline {
                kill(-pid, SIGKILL)
                waitpid(pid, &status, 0)
                return failed("it does not end")
            }
            usleep(2_000)
        }
        let said = errors.text.split(whereSeparator: \.isNewline).joined(separator: "; ")
        return Result(
            isSuccess: status == 0, output: output.text,
            reason: said.isEmpty ? "\(ProgramEnding(waitStatus: status))" : said)
    }

    private static func failed(_ reason: String) -> Result { Result(isSuccess: false, output: "", reason: reason) }

    /// A pipe for what it writes, of which more than the pipe holds is not expected.
    private final class Ends {
        let read: Int32
        let write: Int32

        init?() {
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0 else { return nil }
            (read, write) = (ends[0], ends[1])
            for end in ends { fcntl(end, F_SETFD, FD_CLOEXEC) }
            fcntl(read, F_SETFL, O_NONBLOCK)
        }

        deinit {
            close(read)
            close(write)
        }

        /// What was written so far, the beginning.
        var text: String {
            var bytes = [UInt8](repeating: 0, count: 500)
            return String(decoding: bytes[..<max(0, Glibc.read(read, &bytes, bytes.count))], as: UTF8.self)
        }
    }
}
