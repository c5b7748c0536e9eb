import HubModel

/// What this machine offers for holding programs to limits and for isolating them.
struct Capabilities: Sendable, Hashable {
    /// Where programs can have control groups of their own.
    var groups: GroupTree?
    /// Where there is no such tree.
    var scopes: Scopes?
    /// Why there is no tree, or not for everything.
    var groupsReason = ""
    var sandbox: Sandbox?
    /// Why there is none.
    var sandboxReason = ""
    /// Whom algorithms run as, where the agent is root.
    var account: Account?

    /// What the limits of a whole program can be held by.
    var controllers: Set<GroupTree.Controller> { groups?.controllers ?? scopes?.controllers ?? [] }

    /// True where the processes of an isolated program can be counted without control groups.
    var canCountProcesses: Bool { sandbox?.countsProcesses ?? false }
}

/// A control group (v2) that is ours, below which every program gets one.
struct GroupTree: Sendable, Hashable {
    enum Controller: String, Sendable, Hashable, CaseIterable {
        case cpu, memory, pids
    }

    /// Its folder.
    let path: String
    let controllers: Set<Controller>
    /// Begins the names of this agent's groups.
    let prefix: String

    func folder(of program: ProgramID) -> String { "\(path)/\(prefix)\(program)" }
}
