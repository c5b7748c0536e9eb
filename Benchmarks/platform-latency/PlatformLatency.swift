import Glibc
import PlatformLib

/// An algorithm that prints, for each reading of position 0, how many microseconds lie between the reading's time and its
/// arrival in the algorithm: in a callback with argument `callback`, in a loop with `loop`.
@main
struct PlatformLatency {
    static func main() async throws {
        let platform = try Platform()
        _ = try await platform.binding()
        switch CommandLine.arguments.dropFirst().first {
        case "callback":
            let subscription = platform.onReading(0, take: tell)
            say("ready")
            try await Task.sleep(for: .seconds(3_600))
            subscription.cancel()
        case "loop":
            let readings = platform.readings(0)
            say("ready")
            for await reading in readings { tell(reading) }
        default:
            say("usage: platform-latency callback|loop")
            exit(EX_USAGE)
        }
    }

    @Sendable private static func tell(_ reading: Reading) {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        say("\(Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1_000 - reading.time)")
    }

    /// At once, although nobody reads on a terminal.
    private static func say(_ line: String) {
        let bytes = Array("\(line)\n".utf8)
        _ = write(STDOUT_FILENO, bytes, bytes.count)
    }
}
