import HubModel

/// Which programs end again and again, or cannot be started at all. A value without I/O: it is told what agents report.
struct CrashLoops {
    enum Finding: Hashable {
        /// A person should look at it; told again with each further end.
        case loops(reason: String)
        /// It is up again, or nobody wants it to be.
        case over
    }

    /// What is known of a program that has ended badly.
    private struct History {
        /// Microseconds since 1970, of the last `window`.
        var ends: [Int64] = []
        var isLoop = false
        /// Since when it runs, or rests after a good end; microseconds since 1970.
        var wellSince: Int64?
    }

    /// So many bad ends within `window` are a loop; being given up is one at once.
    private static let endsOfLoop = 3
    /// In microseconds.
    private static let window: Int64 = 600_000_000
    /// A program that stays up or at rest for this long is well again; in microseconds.
    private static let steadyTime: Int64 = 60_000_000

    private var histories: [ProgramID: History]

    /// - Parameter open: those that an earlier hub has found.
    init(open: [ProgramID] = []) {
        histories = Dictionary(uniqueKeysWithValues: open.map { ($0, History(isLoop: true)) })
    }

    /// Takes what an agent reports; the same report may come again.
    mutating func take(_ report: ProgramReport) -> Finding? {
        let program = report.program
        switch report.state {
        case _ where report.isWell:
            histories[program]?.wellSince = report.time
        case .stopped:
            return histories.removeValue(forKey: program)?.isLoop == true ? .over : nil
        case .fatal, .backoff:
            return ended(report)
        case .exited where report.signal != nil || report.exitCode ?? 0 != 0:
            return ended(report)
        case .running, .starting, .stopping, .waiting, .exited, .unknown:
            histories[program]?.wellSince = nil
        }
        return nil
    }

    private mutating func ended(_ report: ProgramReport) -> Finding? {
        var history = histories[report.program] ?? History()
        guard report.time > history.ends.last ?? 0 else { return nil }
        history.wellSince = nil
        history.ends = history.ends.suffix(99).filter { $0 > report.time - Self.window } + [report.time]
        if report.state == .fatal || history.ends.count >= Self.endsOfLoop { history.isLoop = true }
        histories[report.program] = history
        guard history.isLoop else { return nil }
        if report.state == .fatal { return .loops(reason: "it is not started again: \(report.reason)") }
        let count = history.ends.count, minutes = (report.time - history.ends[0]) / 60_000_000 + 1
        return .loops(
            reason: "it has ended, or could not be started, \(count == 1 ? "again" : "\(count) times") in "
                + "\(minutes == 1 ? "a minute" : "\(minutes) minutes"); the last time: \(report.reason)")
    }

    /// Those whose loop is over, because they have been up, or at rest after a good end, for a while, or because they are not
    /// `wanted` any more.
    ///
    /// - Parameter time: now, in microseconds since 1970.
    mutating func takeOver(at time: Int64, wanted: (ProgramID) -> Bool) -> [ProgramID] {
        var over: [ProgramID] = []
        for (program, history) in histories {
            let isSteady = history.wellSince.map { time - $0 >= Self.steadyTime } ?? false
            let isForgotten = !history.isLoop && history.ends.last ?? 0 <= time - Self.window
            guard isSteady || isForgotten || !wanted(program) else { continue }
            histories[program] = nil
            if history.isLoop { over.append(program) }
        }
        return over
    }
}

extension ProgramReport {
    /// True where nothing is wrong with the program: it is up, or has ended as it should.
    var isWell: Bool { state == .running || state == .exited && exitCode == 0 }
}

extension HubCore {
    /// The kind of these incidents; the subject is the program.
    static let crashLoop = "crash-loop"

    func watchForCrashLoop(_ report: ProgramReport) {
        // A command is not started again.
        guard report.program.kind != .command else { return }
        switch crashLoops.take(report) {
        case .loops(let reason): open(Self.crashLoop, report.program.title, reason: reason)
        case .over: close(Self.crashLoop, report.program.title)
        case nil: break
        }
    }

    /// Closes what is over by now.
    func watchCrashLoops() {
        let over = crashLoops.takeOver(at: microsecondsSince1970()) { program in
            switch program.kind {
            case .driver: registry.sensors[program.id] != nil
            case .algorithm: instances[program.id] != nil
            case .command: false
            }
        }
        for program in over { close(Self.crashLoop, program.title) }
    }
}

extension ProgramID {
    /// As the subject of an incident.
    fileprivate var title: String { "\(kind.rawValue) \(id)" }

    /// Nil for what is no title of a program.
    init?(title: String) {
        let words = title.split(separator: " ")
        guard words.count == 2, let kind = Kind(rawValue: String(words[0])), let id = Identifier(words[1]) else {
            return nil
        }
        self.init(kind, id)
    }
}
