import Glibc

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
    public var restart: RestartPolicy
    /// What asks the program's process group to end.
    public var stopSignal: Int32
    /// How long it may take before it is killed.
    public var stopWait: Duration

    public init(
        executable: String, arguments: [String] = [], environment: [String: String] = [:],
        workingDirectory: String? = nil, userID: UInt32? = nil, groupID: UInt32? = nil,
        restart: RestartPolicy = .unexpected, stopSignal: Int32 = SIGTERM, stopWait: Duration = .seconds(10)
    ) {
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
        self.workingDirectory = workingDirectory
        self.userID = userID
        self.groupID = groupID
        self.restart = restart
        self.stopSignal = stopSignal
        self.stopWait = stopWait
    }
}
