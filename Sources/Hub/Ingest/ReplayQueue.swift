import Synchronization

/// Dead letters that ingest is to take up again, by number.
final class ReplayQueue: Sendable {
    private let numbers = Mutex<[Int64]>([])

    func add(_ numbers: [Int64]) { self.numbers.withLock { $0 += numbers } }

    /// Takes some of them out, the oldest first.
    func take(atMost count: Int) -> [Int64] {
        numbers.withLock { numbers in
            let taken = Array(numbers.prefix(count))
            numbers.removeFirst(taken.count)
            return taken
        }
    }
}
