/// Tells of something that can happen often: at once, then at most once a minute, with how often it was.
public struct Tally {
    private let what: String
    private let log: Log
    private var untold = 0
    private var lastTold: Instant?
    private var lastReason: String?

    private static let pause = Duration.seconds(60)

    /// - Parameter what: in the plural, as `readings were dropped`.
    public init(_ what: String, log: Log) {
        self.what = what
        self.log = log
    }

    /// - Parameter reason: why it happened this time.
    public mutating func add(_ number: Int, at now: Instant, reason: String? = nil) {
        guard number > 0 || untold > 0 else { return }
        untold += number
        if let reason { lastReason = reason }
        if let lastTold, now - lastTold < Self.pause { return }
        lastTold = now
        tellRest()
    }

    /// Tells of those that have not been told of.
    public mutating func tellRest() {
        if untold > 0 { log.error("\(what): \(untold)\(lastReason.map { " (\($0))" } ?? "")") }
        untold = 0
    }
}
