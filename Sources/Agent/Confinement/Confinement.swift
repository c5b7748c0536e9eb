import HubModel
import Watch

/// Holds a program to its limits, and isolates it, by what the machine offers.
struct Confinement: Sendable {
    enum Isolation: Sendable, Hashable {
        case off
        /// Without a word where it cannot be had.
        case wherePossible(Sandbox.View)
        case wanted(Sandbox.View)

        var view: Sandbox.View? {
            switch self {
            case .off: nil
            case .wherePossible(let view), .wanted(let view): view
            }
        }
    }

    let program: ProgramID
    let limits: Limits
    let isolation: Isolation
    /// Whether it runs as the account that there is for that; a driver has the agent's rights.
    let hasAccount: Bool

    struct Outcome: Sendable, Hashable {
        var specification: ProgramSpecification
        /// What is to be written to the files of `specification.cgroup`, in this order.
        var groupSettings: [GroupSetting] = []
        /// What cannot be held here, and why.
        var unheld: [String] = []
    }

    struct GroupSetting: Sendable, Hashable {
        let file: String
        let value: String
        /// False where a kernel may be without that file.
        var isRequired = true
    }

    func apply(to specification: ProgramSpecification, _ capabilities: Capabilities) -> Outcome {
        var outcome = Outcome(specification: specification)
        let sandbox = isolation.view == nil ? nil : capabilities.sandbox
        let account = hasAccount ? capabilities.account : nil
        let wanted = limit(&outcome, capabilities, sandbox)
        if let files = limits.files {
            outcome.specification.resourceLimits.append(ResourceLimit(.openFiles, UInt64(files)))
        }

        var command = [specification.executable] + specification.arguments
        if let sandbox, let view = isolation.view {
            command = sandbox.commandLine(
                command, view: view, workingDirectory: specification.workingDirectory ?? "/", account: account,
                processes: wanted.countedInSandbox)
            outcome.specification.wrappers = Sandbox.ownProcesses
        } else if case .wanted = isolation {
            outcome.unheld.append("isolation: \(capabilities.sandboxReason)")
        }
        if let scopes = capabilities.scopes, !wanted.properties.isEmpty {
            // Nobody but ourselves may ask systemd for it.
            if sandbox == nil, let account { command = account.commandLine(command) }
            command = scopes.commandLine(command, of: program, properties: wanted.properties)
            outcome.specification.systemctl = scopes.systemctl
        } else if sandbox == nil {
            outcome.specification.userID = account?.userID
            outcome.specification.groupID = account?.groupID
        }
        outcome.specification.executable = command[0]
        outcome.specification.arguments = Array(command.dropFirst())
        return outcome
    }

    /// What systemd or a sandbox is to hold.
    private struct Wanted {
        /// Of a scope (systemd.resource-control(5)).
        var properties: [String] = []
        /// The limit of processes for the sandbox.
        var countedInSandbox: Int64?
    }

    /// Memory, cpu and processes.
    private func limit(_ outcome: inout Outcome, _ capabilities: Capabilities, _ sandbox: Sandbox?) -> Wanted {
        let controllers = capabilities.controllers, reason = capabilities.groupsReason
        var settings: [GroupSetting] = []
        var wanted = Wanted()

        if let memory = limits.memory {
            if controllers.contains(.memory) {
                settings.append(GroupSetting(file: "memory.max", value: String(memory)))
                // Or it would fill the swap next, and slow down everybody.
                settings.append(GroupSetting(file: "memory.swap.max", value: "0", isRequired: false))
                // All of the program or nothing: half of one is worse than none. Since Linux 4.19.
                settings.append(GroupSetting(file: "memory.oom.group", value: "1", isRequired: false))
                wanted.properties += ["MemoryMax=\(memory)", "MemorySwapMax=0"]
            } else {
                // RLIMIT_AS would be no bound of memory: an interpreter reserves far more addresses than it ever uses.
                outcome.specification.resourceLimits.append(ResourceLimit(.data, UInt64(memory)))
                outcome.unheld.append("memory: each process of it may take that much, not all together: \(reason)")
            }
        }
        if let percent = limits.cpuPercent {
            if controllers.contains(.cpu) {
                settings.append(GroupSetting(file: "cpu.max", value: "\(percent * 1_000) 100000"))
                wanted.properties.append("CPUQuota=\(percent)%")
            } else {
                outcome.unheld.append("cpu: \(reason)")
            }
        }
        if let processes = limits.processes {
            if controllers.contains(.pids) {
                let all = processes + (sandbox == nil ? 0 : Int64(Sandbox.ownProcesses))
                settings.append(GroupSetting(file: "pids.max", value: String(all)))
                wanted.properties.append("TasksMax=\(all)")
            } else if sandbox?.countsProcesses ?? false {
                wanted.countedInSandbox = processes
            } else {
                // RLIMIT_NPROC alone counts all processes of the user: those of other programs, and ours.
                outcome.unheld.append("processes: \(reason)")
            }
        }
        if let tree = capabilities.groups, !settings.isEmpty {
            outcome.specification.cgroup = tree.folder(of: program)
            outcome.groupSettings = settings
        }
        return wanted
    }
}
