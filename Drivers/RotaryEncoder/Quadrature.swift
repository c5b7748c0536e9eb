import SensorKit

/// Follows the two contacts of a rotary encoder, which close a quarter of a period apart. While it is turned so that A
/// closes first, the pair goes open-open, A, A and B, B, open-open: four phases.
///
/// The position moves where the knob rests. What bounces or is turned half and back moves nothing, and where an edge
/// was lost, the more that was seen of a step decides.
struct Quadrature: Hashable {
    /// Steps so far; those with A first count up.
    var position: Int64 = 0
    /// Edges that are known to be lost.
    private(set) var lostEdges: Int64 = 0
    /// Changes of phase from one rest to the next.
    private let phasesPerStep: Int
    private var values: [Bool]
    /// Changes of phase since the last rest.
    private var phases = 0

    /// - Parameters:
    ///   - values: of A and B now.
    ///   - phasesPerStep: 4, 2 or 1.
    init(_ values: [Bool], phasesPerStep: Int, position: Int64) {
        self.values = values
        self.phasesPerStep = phasesPerStep
        self.position = position
    }

    /// Takes the next edge of A (line 0) or B (line 1).
    mutating func add(_ edge: Edge) {
        guard values[edge.line] != edge.value else {
            // It went there and back, and one of the two was not seen.
            lostEdges += 1
            return
        }
        let before = phase
        values[edge.line] = edge.value
        move((phase - before) & 3 == 1 ? 1 : -1)
    }

    /// The lines were read while no edge was waiting.
    mutating func reconcile(with current: [Bool]) {
        guard current != values else { return }
        let before = phase
        lostEdges += Int64(zip(current, values).count { $0 != $1 })
        values = current
        // With both changed, either way is as likely.
        switch (phase - before) & 3 {
        case 1: move(1)
        case 3: move(-1)
        default: move(0)
        }
    }

    private var phase: Int {
        switch (values[0], values[1]) {
        case (false, false): 0
        case (true, false): 1
        case (true, true): 2
        case (false, true): 3
        }
    }

    private mutating func move(_ change: Int) {
        phases += change
        guard phase % phasesPerStep == 0 else { return }
        let steps = Int((Double(phases) / Double(phasesPerStep)).rounded(.toNearestOrAwayFromZero))
        position += Int64(steps)
        phases = 0
    }
}
