import Glibc
import HubModel

/// Writes what a command has written to our own stdout and stderr. Where nobody reads stdout any more, that is told once,
/// as the kernel would tell the command.
struct PassedOutput {
    private let onBrokenPipe: () -> Void
    private let broken = Broken()

    private final class Broken {
        var streams: Set<Int32> = []
    }

    init(onBrokenPipe: @escaping () -> Void) {
        self.onBrokenPipe = onBrokenPipe
    }

    func write(_ line: String, to stream: JournalRecord.Stream) {
        write(Array("\(line)\n".utf8), to: stream == .stdout ? STDOUT_FILENO : STDERR_FILENO)
    }

    /// Bytes as they are.
    func write(_ bytes: [UInt8], to descriptor: Int32) {
        guard !broken.streams.contains(descriptor) else { return }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN {
                var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&waiting, 1, -1)
                continue
            }
            guard count > 0 else {
                broken.streams.insert(descriptor)
                if descriptor == STDOUT_FILENO, errno == EPIPE { onBrokenPipe() }
                return
            }
            rest = rest.dropFirst(count)
        }
    }
}
