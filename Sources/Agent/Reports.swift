import HubModel
import Synchronization
import Watch

/// Where programs leave what is to be told of them. May be called from anywhere; what one caller says stays in order.
final class Reports: Sendable {
    private struct State {
        var outbox = Outbox()
        var latest: [ProgramID: ProgramReport] = [:]
    }

    private let state = Mutex(State())
    private let wake: @Sendable () -> Void

    /// - Parameter wake: called when there is something to send.
    init(wake: @escaping @Sendable () -> Void) {
        self.wake = wake
    }

    func report(_ report: ProgramReport) {
        state.withLock { state in
            state.latest[report.program] = report
            state.outbox.add(report)
        }
        wake()
    }

    func log(_ lines: [OutputLine], of program: ProgramID) {
        state.withLock { $0.outbox.add(lines, of: program) }
        wake()
    }

    /// The program is none of this node's any more; what is to be sent stays.
    func forget(_ program: ProgramID) {
        state.withLock { $0.latest[program] = nil }
    }

    func latest(of program: ProgramID) -> ProgramReport? { state.withLock { $0.latest[program] } }

    /// How every program is, by name.
    var snapshot: [ProgramReport] {
        state.withLock { $0.latest.values.sorted { "\($0.program)" < "\($1.program)" } }
    }

    /// What is to be sent next, taken out.
    ///
    /// - Parameter statesOnly: true where lines have to wait.
    func popFirst(statesOnly: Bool) -> Outbox.Item? {
        state.withLock { statesOnly && !$0.outbox.hasStates ? nil : $0.outbox.popFirst() }
    }

    func putBack(_ item: Outbox.Item) { state.withLock { $0.outbox.putBack(item) } }
    var isEmpty: Bool { state.withLock { $0.outbox.isEmpty } }
    var droppedStates: Int { state.withLock { $0.outbox.droppedStates } }
}
