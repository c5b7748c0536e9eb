import HubModel
import Synchronization
import Watch

/// Input on its way to a program's watch, in order. A program that does not read holds up nobody else.
final class InputQueue: Sendable {
    private struct Piece {
        let command: WatchCommand
        /// Called with the last piece of a request, with whether the watch has all of it.
        let whenTaken: (@Sendable (Bool) -> Void)?
    }

    private struct State {
        var pieces: [Piece] = []
        var isSending = false
    }

    private let program: ProgramID
    private let watches: Watches
    private let state = Mutex(State())

    /// About 3 MB; what is more is not taken.
    private static let maximumPieces = 1_000
    /// How long there may be no watch: it may have been killed, and be replaced.
    private static let patience = Duration.seconds(10)

    init(_ program: ProgramID, _ watches: Watches) {
        self.program = program
        self.watches = watches
    }

    /// - Parameter whenTaken: called with whether the watch has taken all of it.
    /// - Returns: false where too much is waiting already.
    func add(_ request: InputRequest, whenTaken: @escaping @Sendable (Bool) -> Void) -> Bool {
        var pieces: [Piece] = []
        var rest = request.input[...]
        repeat {
            let part = Array(rest.prefix(WatchCommand.maximumInput))
            rest = rest.dropFirst(part.count)
            pieces.append(
                Piece(
                    command: .input(
                        part, isEnd: request.isLast && rest.isEmpty, run: request.run,
                        part: RequestPart(of: request.name, number: Int64(pieces.count))),
                    whenTaken: rest.isEmpty ? whenTaken : nil))
        } while !rest.isEmpty
        return state.withLock { state in
            guard state.pieces.count + pieces.count <= Self.maximumPieces else { return false }
            state.pieces += pieces
            guard !state.isSending else { return true }
            state.isSending = true
            Task { await send() }
            return true
        }
    }

    private func send() async {
        var since = ContinuousClock.now
        var isWhole = true
        while let piece = first {
            let isSent = watches.send(piece.command, to: program)
            guard isSent || ContinuousClock.now - since > Self.patience else {
                try? await Task.sleep(for: .milliseconds(10))
                continue
            }
            // A watch that is there takes it when it can: a part that is left out would be missed in the middle.
            if !isSent, watches.isAtWork(program) {
                since = .now
                continue
            }
            isWhole = isWhole && isSent
            if let whenTaken = piece.whenTaken {
                whenTaken(isWhole)
                isWhole = true
            }
            state.withLock { _ = $0.pieces.removeFirst() }
            since = .now
        }
    }

    /// Nil where there is nothing more, and the next one that comes has to be sent by another task.
    private var first: Piece? {
        state.withLock { state in
            state.isSending = !state.pieces.isEmpty
            return state.pieces.first
        }
    }
}
