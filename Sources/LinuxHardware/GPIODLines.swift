import CHardware
import Glibc
import SensorKit

/// GPIO lines through libgpiod.
final class GPIODLines: GPIOLines {
    /// Must stay open while its lines are held.
    private let chip: GPIOChip
    private let offsets: [Int]
    private let handle: OpaquePointer
    let descriptors: [Int32]

    private static let eventsAtATime = 256

    init(_ request: LineRequest) throws(SensorFault) {
        let (chip, offsets) = try GPIOChip.find(request.lines)
        guard offsets.count <= SH_GPIO_MAX_LINES else {
            throw SensorFault("\(offsets.count) lines are too many for one request: at most 64")
        }
        var settings = sh_gpio_settings()
        var values = [UInt8](repeating: 0, count: offsets.count)
        switch request.direction {
        case .input(let edges):
            settings.direction = Int32(SH_GPIO_INPUT)
            settings.edges = edges.constant
        case .output(let first, let drive):
            guard first.count == offsets.count else {
                throw SensorFault("\(first.count) values are given for \(offsets.count) lines")
            }
            settings.direction = Int32(SH_GPIO_OUTPUT)
            settings.drive = drive.constant
            values = first.map { $0 ? 1 : 0 }
        }
        settings.bias = request.bias.constant
        settings.is_active_low = request.isActiveLow ? 1 : 0
        let handle = request.consumer.withCString { consumer in
            settings.consumer = consumer
            return sh_gpio_request(chip.handle, offsets.map { UInt32($0) }, offsets.count, &settings, values)
        }
        guard let handle else { throw chip.fault(errno, taking: offsets, for: request.direction) }
        self.chip = chip
        self.offsets = offsets
        self.handle = handle
        var descriptors = [Int32](repeating: -1, count: offsets.count)
        let count = sh_gpio_descriptors(handle, &descriptors, descriptors.count)
        self.descriptors = Array(descriptors[..<count])
    }

    deinit {
        sh_gpio_release(handle)
    }

    func values() throws(SensorFault) -> [Bool] {
        var values = [UInt8](repeating: 0, count: offsets.count)
        guard sh_gpio_get_values(handle, &values) == 0 else { throw fault("cannot be read", errno) }
        return values.map { $0 != 0 }
    }

    func set(_ values: [Bool]) throws(SensorFault) {
        precondition(values.count == offsets.count, "one value for each line")
        guard sh_gpio_set_values(handle, values.map { $0 ? 1 : 0 }) == 0 else { throw fault("cannot be set", errno) }
    }

    /// While edges follow each other closely they are gathered until there is a pause: what is done with each takes longer
    /// than the next ones take to come. A single edge waits for nothing.
    func edges() throws(SensorFault) -> [Edge] {
        var edges: [Edge] = []
        try takeEdges(into: &edges)
        let end = Instant.now + Self.longestBurst
        var taken = edges.count
        while taken > 0, edges.count > 1, edges.count < Self.largestBurst, Instant.now < end {
            // Not until the next one: to wake up for each would take the processor from what keeps them.
            poll(nil, 0, Self.pauseInBurst)
            // A fault is there the next time, too.
            taken = (try? takeEdges(into: &edges)) ?? 0
        }
        return offsets.count == 1 ? edges : edges.sorted { $0.time < $1.time }
    }

    private static let largestBurst = 5_000
    private static let longestBurst = Duration.milliseconds(500)
    /// In milliseconds.
    private static let pauseInBurst: Int32 = 2

    /// - Returns: how many waited.
    @discardableResult
    private func takeEdges(into edges: inout [Edge]) throws(SensorFault) -> Int {
        let before = edges.count
        let code = withUnsafeTemporaryAllocation(of: sh_gpio_event.self, capacity: Self.eventsAtATime) { events in
            while true {
                let count = sh_gpio_read_events(handle, events.baseAddress!, events.count)
                guard count >= 0 else { return errno }
                edges += events[..<count].lazy.map(Edge.init)
                guard count == events.count, edges.count < Self.largestBurst else { return 0 }
            }
        }
        guard code == 0 || edges.count > before else { throw fault("gives no edges", code) }
        return edges.count - before
    }

    private func fault(_ what: String, _ code: Int32) -> SensorFault {
        let lines = offsets.map { "\($0)" }.joined(separator: ", ")
        return SensorFault("line \(lines) of \(chip.title) \(what): \(String(cString: strerror(code)))")
    }
}

extension Edge {
    fileprivate init(_ event: sh_gpio_event) {
        self.init(
            line: Int(event.index), value: event.is_rising != 0,
            time: Instant(nanoseconds: Int64(clamping: event.nanoseconds)),
            number: event.number == 0 ? nil : Int64(clamping: event.number), dropped: Int64(clamping: event.dropped))
    }
}

extension LineRequest.Edges {
    fileprivate var constant: Int32 {
        switch self {
        case .none: Int32(SH_GPIO_EDGES_NONE)
        case .rising: Int32(SH_GPIO_EDGES_RISING)
        case .falling: Int32(SH_GPIO_EDGES_FALLING)
        case .both: Int32(SH_GPIO_EDGES_BOTH)
        }
    }
}

extension LineRequest.Drive {
    fileprivate var constant: Int32 {
        switch self {
        case .pushPull: Int32(SH_GPIO_PUSH_PULL)
        case .openDrain: Int32(SH_GPIO_OPEN_DRAIN)
        case .openSource: Int32(SH_GPIO_OPEN_SOURCE)
        }
    }
}

extension LineRequest.Bias {
    fileprivate var constant: Int32 {
        switch self {
        case .asIs: Int32(SH_GPIO_BIAS_AS_IS)
        case .disabled: Int32(SH_GPIO_BIAS_DISABLED)
        case .pullUp: Int32(SH_GPIO_BIAS_PULL_UP)
        case .pullDown: Int32(SH_GPIO_BIAS_PULL_DOWN)
        }
    }
}
