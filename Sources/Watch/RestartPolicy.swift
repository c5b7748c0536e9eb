/// When a program that ended is started again. The rules are Supervisor's, with waiting times that grow.
///
/// A start has succeeded once the program has been up for `startSeconds`. A program that ends before has failed to
/// start, and is tried again `startRetries` times; one that ends later is started again as `condition` says. Two things
/// are not as in Supervisor: unless the condition is `.always`, an expected exit code is a good end however early it
/// comes, and under `.never` a failed start is final.
public struct RestartPolicy: Sendable, Hashable {
    public enum Condition: Sendable, Hashable {
        case never
        /// After a signal or an exit code that is none of `exitCodes`.
        case unexpected
        case always
    }

    public var condition: Condition
    /// The expected ones.
    public var exitCodes: Set<Int32>
    /// Exit codes that say that another try is of no use, whatever the condition: the program is FATAL then.
    public var fatalExitCodes: Set<Int32>
    public var startSeconds: Duration
    /// How many failed starts in a row are followed by another one; nil never gives up.
    public var startRetries: Int?
    /// How often it is started again by itself at most, whatever it ended by; nil never gives up.
    public var maximumRestarts: Int?
    /// The waiting time before a new start: about `backoffFirst`, then twice as long each time up to `backoffCap`. It
    /// is short again after a run that lasted `backoffCap`.
    public var backoffFirst: Duration
    public var backoffCap: Duration

    public init(
        _ condition: Condition, exitCodes: Set<Int32> = [0], fatalExitCodes: Set<Int32> = [],
        startSeconds: Duration = .seconds(1), startRetries: Int? = 3, maximumRestarts: Int? = nil,
        backoffFirst: Duration = .seconds(1), backoffCap: Duration = .seconds(30)
    ) {
        self.condition = condition
        self.exitCodes = exitCodes
        self.fatalExitCodes = fatalExitCodes
        self.startSeconds = startSeconds
        self.startRetries = startRetries
        self.maximumRestarts = maximumRestarts
        self.backoffFirst = backoffFirst
        self.backoffCap = backoffCap
    }

    public static let never = RestartPolicy(.never)
    public static let unexpected = RestartPolicy(.unexpected)
    public static let always = RestartPolicy(.always)
}
