import HubModel
import SimdJSON
import Watch

/// What is to be told to the hub and has not been sent yet, oldest first. It is bounded: while the broker is away for
/// long, the oldest goes, and is counted.
struct Outbox {
    enum Item {
        case state(ProgramReport)
        case log(ProgramID, [OutputLine])
    }

    private let maximumStates: Int
    private let maximumLines: Int
    private var states: [ProgramReport] = []
    private var logs: [(program: ProgramID, lines: [OutputLine])] = []
    private var lineCount = 0
    private var droppedLines: [ProgramID: Int] = [:]
    /// How many changes of state were dropped so far.
    private(set) var droppedStates = 0

    init(maximumStates: Int = 1_000, maximumLines: Int = 2_000) {
        self.maximumStates = maximumStates
        self.maximumLines = maximumLines
    }

    var isEmpty: Bool { states.isEmpty && logs.isEmpty }

    mutating func add(_ state: ProgramReport) {
        states.append(state)
        guard states.count > maximumStates else { return }
        states.removeFirst()
        droppedStates += 1
    }

    mutating func add(_ lines: [OutputLine], of program: ProgramID) {
        guard !lines.isEmpty else { return }
        logs.append((program, lines))
        lineCount += lines.count
        while lineCount > maximumLines, logs.count > 1 {
            let oldest = logs.removeFirst()
            lineCount -= oldest.lines.count
            droppedLines[oldest.program, default: 0] += oldest.lines.count
        }
    }

    var hasStates: Bool { !states.isEmpty }

    /// Takes out what is to be sent next: states before lines, as they matter more. But once a program is said to have
    /// ended, its last lines may not be welcome any more.
    mutating func popFirst() -> Item? {
        if let state = states.first, state.state.isAlive || !logs.contains(where: { $0.program == state.program }) {
            return .state(states.removeFirst())
        }
        guard !logs.isEmpty else { return nil }
        var (program, lines) = logs.removeFirst()
        lineCount -= lines.count
        if let dropped = droppedLines.removeValue(forKey: program) {
            let text = "… \(dropped) lines dropped: the broker was away"
            lines.insert(OutputLine(time: lines[0].time, stream: .stderr, text: text), at: 0)
        }
        return .log(program, lines)
    }

    /// Takes back what could not be sent.
    mutating func putBack(_ item: Item) {
        switch item {
        case .state(let state): states.insert(state, at: 0)
        case .log(let program, let lines):
            logs.insert((program, lines), at: 0)
            lineCount += lines.count
        }
    }
}
