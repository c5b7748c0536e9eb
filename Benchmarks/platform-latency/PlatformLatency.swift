import Glibc
import PlatformLib

/// An algorithm that prints, for each reading of position 0, how many microseconds lie between the reading's time and its
/// arrival in the algorithm's loop.
@main
struct PlatformLatency {
    static func main() async throws {
        setvbuf(stdout, nil, _IOLBF, 0)
        let platform = try Platform()
        _ = try await platform.binding()
        print("ready")
        for await reading in platform.readings(0) {
            var now = timespec()
            clock_gettime(CLOCK_REALTIME, &now)
            print(Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1_000 - reading.time)
        }
    }
}
