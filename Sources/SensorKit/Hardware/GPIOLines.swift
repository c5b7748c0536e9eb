/// What lines are taken for. All of a request are on one chip and have the same settings.
public struct LineRequest: Sendable, Hashable {
    public enum Edges: Sendable, Hashable {
        case none, rising, falling, both
    }

    public enum Direction: Sendable, Hashable {
        case input(Edges)
        /// With the values that the lines are to have from the beginning, one for each.
        case output([Bool], Drive)
    }

    public enum Drive: Sendable, Hashable {
        case pushPull
        /// Pulls down or lets go; the value that is read is the line's.
        case openDrain
        /// Pulls up or lets go.
        case openSource
    }

    /// Resistors in the chip that pull a line that nobody drives.
    public enum Bias: String, Sendable, Hashable, CaseIterable {
        /// What somebody before has set.
        case asIs = "as_is"
        case disabled
        case pullUp = "pull_up"
        case pullDown = "pull_down"

        /// Reads `"pull_up"`, `"pull_down"`, `"disabled"` or `"as_is"`.
        public init(_ reader: DocumentReader) throws(ValidationError) {
            let word = try reader.string()
            guard let bias = Self(rawValue: word) else {
                let words = Self.allCases.map(\.rawValue)
                throw reader.error(
                    "'\(word.prefix(80))' is none of \(words.joined(separator: ", "))\(didYouMean(word, among: words))")
            }
            self = bias
        }
    }

    public var lines: [LineReference]
    public var direction: Direction
    public var bias: Bias
    /// A line that is low then has the value true, and a rising edge is one to low.
    public var isActiveLow: Bool
    /// What others are told of who holds the lines: `sensorhub door-1`. The kernel keeps 31 bytes.
    public var consumer: String

    public init(
        _ lines: [LineReference], _ direction: Direction, bias: Bias = .asIs, isActiveLow: Bool = false,
        consumer: String
    ) {
        self.lines = lines
        self.direction = direction
        self.bias = bias
        self.isActiveLow = isActiveLow
        self.consumer = consumer
    }
}

/// A change of a line's value, as the kernel saw it.
public struct Edge: Sendable, Hashable {
    /// Which of the request's lines it was.
    public let line: Int
    /// The value since then.
    public let value: Bool
    /// When the kernel's interrupt handler saw it.
    public let time: Instant
    /// Counts the line's edges from 1, also those that were lost; nil where that is not known (libgpiod 1.6).
    public let number: Int64?
    /// How many edges of the line were dropped before this one because they were not taken in time. The kernel may have
    /// dropped others; a `number` tells of all, and this is 0 then.
    public let dropped: Int64

    public init(line: Int = 0, value: Bool, time: Instant, number: Int64? = nil, dropped: Int64 = 0) {
        self.line = line
        self.value = value
        self.time = time
        self.number = number
        self.dropped = dropped
    }
}

/// GPIO lines that are held. They are released with the object, or when the process ends, however it does; what an
/// output does then is up to the chip's driver in the kernel: most keep the level, some fall back to an input.
public protocol GPIOLines: AnyObject {
    /// The lines' values, in the order of the request.
    func values() throws(SensorFault) -> [Bool]

    /// Sets outputs, all in one step as far as the chip can.
    func set(_ values: [Bool]) throws(SensorFault)

    /// Readable while edges wait; for `Driver.descriptors`.
    var descriptors: [Int32] { get }

    /// Takes the edges that wait, in order of time; at most a few thousand at a time. It waits for more only in the middle
    /// of a burst, a few milliseconds after two or more have come, half a second altogether.
    ///
    /// Those that nobody takes are kept, about a thousand of a request (4,096 with libgpiod 1.6).
    func edges() throws(SensorFault) -> [Edge]
}
