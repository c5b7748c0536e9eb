import Glibc
import HubModel
import Synchronization
import UnixSignals

/// Has a command get the signals that we get, in their order.
enum PassedSignals {
    /// After that a person who asks again for the end need not wait any longer.
    private static let patience = Duration.seconds(2)

    /// Since when the command could not be reached.
    private final class Waiting: Sendable {
        let since = Mutex<Instant?>(nil)
    }

    /// - Parameters:
    ///   - isOurs: asked of each signal first: true where it is not for the command.
    ///   - leave: called where the person need not wait any longer, before we end.
    /// - Returns: what does that, until it is cancelled.
    static func pass(
        to steering: CommandSteering, _ program: ProgramID, isOurs: @escaping @Sendable (UnixSignal) -> Bool,
        leave: @escaping @Sendable () -> Void
    ) async -> Task<Void, any Error> {
        let signals = await UnixSignalsSequence(
            trapping: notIgnored([.sigint, .sigterm, .sighup, .sigquit, .sigusr1, .sigusr2, .sigwinch]))
        let (stream, continuation) = AsyncStream.makeStream(of: Signal.self, bufferingPolicy: .bufferingOldest(100))
        let waiting = Waiting()
        return Task {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for await caught in signals {
                        guard !isOurs(caught), let signal = Signal(number: caught.rawValue) else { continue }
                        let since = waiting.since.withLock { $0 }
                        if let since, Instant.now - since > patience, caught != .sigusr1, caught != .sigusr2 {
                            note(
                                "'\(program.id)' cannot be reached, and goes on: 'sensorhub stop \(program.id)' ends it"
                            )
                            leave()
                            _exit(128 + signal.number)
                        }
                        continuation.yield(signal)
                    }
                }
                group.addTask {
                    for await signal in stream {
                        waiting.since.withLock { $0 = .now }
                        do { try await steering.send(signal) } catch let error as CommandError { note("\(error)") }
                        waiting.since.withLock { $0 = nil }
                    }
                }
                try await group.waitForAll()
            }
        }
    }
}
