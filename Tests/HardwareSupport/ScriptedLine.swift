import MQTT
public import SensorKit

/// A GPIO line of a test.
public final class ScriptedLine {
    /// The level at the pin: what the outside does to an input, or what an output was set to.
    public var level: Bool
    /// What a request says next instead of the value.
    public var fault: SensorFault?
    /// The values cannot be read any more once edges were taken, as of a line that goes while it is read.
    public var failsAfterEdges = false
    /// All levels that an output was set to.
    public private(set) var outputs: [Bool] = []
    /// Called when an output is set.
    public var onOutput: (Bool) -> Void = { _ in }
    fileprivate var edges: [Edge] = []
    fileprivate weak var holder: ScriptedLines?

    public init(_ level: Bool = false) { self.level = level }

    /// True while a driver holds it.
    public var isHeld: Bool { holder != nil }

    /// Changes the level at a time; who has asked for edges gets one.
    ///
    /// - Parameter number: as of libgpiod 2, which numbers them.
    public func change(to level: Bool, at time: Instant = .now, number: Int64? = nil) {
        self.level = level
        guard let holder, case .input(let wanted) = holder.request.direction else { return }
        let value = level != holder.request.isActiveLow
        guard wanted == .both || wanted == (value ? .rising : .falling) else { return }
        edges.append(Edge(line: holder.index(of: self), value: value, time: time, number: number))
        holder.signal()
    }

    fileprivate func set(_ level: Bool) {
        self.level = level
        outputs.append(level)
        onOutput(level)
    }
}

final class ScriptedLines: GPIOLines {
    let request: LineRequest
    private let lines: [ScriptedLine]
    private let wakeUp = WakeUp()
    private var hasGivenEdges = false

    init(_ lines: [ScriptedLine], _ request: LineRequest) {
        self.lines = lines
        self.request = request
        for line in lines {
            line.holder = self
            line.edges = []
        }
        if case .output(let values, _) = request.direction { put(values) }
    }

    var descriptors: [Int32] {
        if case .input(let edges) = request.direction, edges != .none { [wakeUp.descriptor] } else { [] }
    }

    func index(of line: ScriptedLine) -> Int { lines.firstIndex { $0 === line } ?? 0 }

    func signal() { wakeUp.signal() }

    func values() throws(SensorFault) -> [Bool] {
        try check()
        if lines.contains(where: \.failsAfterEdges), hasGivenEdges { throw SensorFault("gone while it was read") }
        return lines.map { $0.level != request.isActiveLow }
    }

    func set(_ values: [Bool]) throws(SensorFault) {
        try check()
        put(values)
    }

    private func put(_ values: [Bool]) {
        for (line, value) in zip(lines, values) { line.set(value != request.isActiveLow) }
    }

    func edges() throws(SensorFault) -> [Edge] {
        try check()
        wakeUp.reset()
        hasGivenEdges = true
        let edges = lines.flatMap(\.edges).sorted { $0.time < $1.time }
        for line in lines { line.edges = [] }
        return edges
    }

    private func check() throws(SensorFault) {
        for line in lines { if let fault = line.fault { throw fault } }
    }
}
