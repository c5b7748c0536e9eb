import Glibc

/// A limit of setrlimit(2).
public struct ResourceLimit: Sendable, Hashable {
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// Bytes of private memory that can be written (RLIMIT_DATA, which counts anonymous mappings since Linux 4.7).
        case data
        /// Bytes of address space.
        case addressSpace
        /// Seconds of processor time.
        case processorTime
        /// Processes of the same user, all of them.
        case processes
        case openFiles
        /// Bytes of a file that is written.
        case fileSize
        /// Bytes of a core file.
        case coreSize
    }

    public var kind: Kind
    public var value: UInt64

    public init(_ kind: Kind, _ value: UInt64) {
        self.kind = kind
        self.value = value
    }
}

/// What a program finds on its stdin.
public enum ProgramInput: String, Sendable, Hashable {
    /// Its end, at once.
    case none
    /// What is sent to it, and its end once that is sent.
    case pipe
}

/// What becomes of output that is more than a watch takes.
public enum OutputOverflow: String, Sendable, Hashable {
    /// It is dropped and counted: the program is not to wait for us.
    case dropped
    /// The program waits, as for any pipe whose reader is slow: what it writes is its result.
    case held
}

/// What to run, and how.
public struct ProgramSpecification: Sendable, Hashable {
    /// A path, or a name that is looked up in the `PATH` of `environment`.
    public var executable: String
    public var arguments: [String]
    /// The whole environment: nothing is inherited.
    public var environment: [String: String]
    /// Nil for our own.
    public var workingDirectory: String?
    /// Whom to run as; nil for ourselves. Only root can choose.
    public var userID: UInt32?
    public var groupID: UInt32?
    /// What the kernel holds the process to, and each that it starts.
    public var resourceLimits: [ResourceLimit] = []
    /// The folder of a control group (version 2) that the process joins before it is executed; nil for none.
    public var cgroup: String?
    /// Where systemd makes a scope for the program: the command line that asks it, which goes on with a command of
    /// systemctl(1). Nil for none.
    public var systemctl: [String]?
    /// How many processes of a wrapping there are, each the parent of the next, and the last of the program's own. A
    /// wrapping cannot end by the signal that its program ended by: it ends with 128 and the signal's number.
    public var wrappers = 0
    public var input: ProgramInput
    public var overflow = OutputOverflow.dropped
    public var restart: RestartPolicy
    /// What asks the program's process group to end.
    public var stopSignal: Int32
    /// How long it may take before it is killed.
    public var stopWait: Duration

    public init(
        executable: String, arguments: [String] = [], environment: [String: String] = [:],
        workingDirectory: String? = nil, input: ProgramInput = .none, userID: UInt32? = nil, groupID: UInt32? = nil,
        restart: RestartPolicy = .unexpected, stopSignal: Int32 = SIGTERM, stopWait: Duration = .seconds(10)
    ) {
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
        self.workingDirectory = workingDirectory
        self.input = input
        self.userID = userID
        self.groupID = groupID
        self.restart = restart
        self.stopSignal = stopSignal
        self.stopWait = stopWait
    }
}
