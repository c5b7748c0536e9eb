import SensorKit
import Synchronization

/// Collects what is logged.
final class Lines: Sendable {
    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }

    var log: Log {
        Log { [self] _, line in lines.withLock { $0.append(line) } }
    }
}
