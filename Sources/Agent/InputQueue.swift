import HubModel
import Synchronization
import Watch

/// Input on its way to a program's watch, in order. A program that does not read holds up nobody else.
final class InputQueue: Sendable {
    private struct State {
        var commands: [WatchCommand] = []
        var isSending = false
    }

    private let program: ProgramID
    private let watches: Watches
    private let state = Mutex(State())

    /// About 3 MB; what is more is not taken.
    private static let maximumCommands = 1_000
    /// How long a watch may take to read: it may have been killed, and be replaced.
    private static let patience = Duration.seconds(10)

    init(_ program: ProgramID, _ watches: Watches) {
        self.program = program
        self.watches = watches
    }

    /// - Returns: false where too much is waiting already.
    func add(_ request: InputRequest) -> Bool {
        var commands: [WatchCommand] = []
        var rest = request.input[...]
        repeat {
            let part = Array(rest.prefix(WatchCommand.maximumInput))
            rest = rest.dropFirst(part.count)
            commands.append(.input(part, isEnd: request.isLast && rest.isEmpty, run: request.run))
        } while !rest.isEmpty
        return state.withLock { state in
            guard state.commands.count + commands.count <= Self.maximumCommands else { return false }
            state.commands += commands
            guard !state.isSending else { return true }
            state.isSending = true
            Task { await send() }
            return true
        }
    }

    private func send() async {
        var since = ContinuousClock.now
        while let command = first {
            if watches.send(command, to: program) || ContinuousClock.now - since > Self.patience {
                state.withLock { _ = $0.commands.removeFirst() }
                since = .now
            } else {
                try? await Task.sleep(for: .milliseconds(10))
            }
        }
    }

    /// Nil where there is nothing more, and the next one that comes has to be sent by another task.
    private var first: WatchCommand? {
        state.withLock { state in
            state.isSending = !state.commands.isEmpty
            return state.commands.first
        }
    }
}
