import Files
import Glibc
import HubModel
import Watch

/// Confines the programs of this machine: what it offers was looked at once, at the start.
struct MachineConfinement: Sendable {
    let capabilities: Capabilities
    /// For programs whose deployment says nothing.
    let defaults: Limits
    /// Whether algorithms are isolated whose deployment says nothing.
    let isolatesAlgorithms: Bool

    /// Looks at the machine. Blocks.
    ///
    /// - Throws: `AgentError` where there is no user such as the configuration names.
    static func find(_ configuration: AgentConfiguration) throws(AgentError) -> MachineConfinement {
        let account = geteuid() == 0 ? try Account.forAlgorithms(named: configuration.account) : nil
        var capabilities = Capabilities()
        (capabilities.groups, capabilities.groupsReason) = GroupTree.find(
            prefix: "\(configuration.hub).\(configuration.node).")
        if capabilities.groups == nil { capabilities.scopes = Scopes.find() }
        (capabilities.sandbox, capabilities.sandboxReason) = Sandbox.find(account: account)
        capabilities.account = account
        return MachineConfinement(
            capabilities: capabilities, defaults: configuration.limits,
            isolatesAlgorithms: configuration.isolatesAlgorithms)
    }

    /// Makes the program's control group, where it is to have one.
    ///
    /// - Parameters:
    ///   - view: what it sees when isolated; nil for a driver, which needs its hardware, and the agent's rights.
    ///   - isolation: as the deployment says; nil where it says nothing.
    /// - Returns: the specification to run, and what cannot be held.
    func confine(
        _ specification: ProgramSpecification, of program: ProgramID, limits: Limits, isolation: Bool?,
        view: Sandbox.View?
    ) throws(PreparationError) -> Confinement.Outcome {
        let kind: Confinement.Isolation =
            if let view, isolation ?? isolatesAlgorithms {
                isolation == nil ? .wherePossible(view) : .wanted(view)
            } else {
                .off
            }
        let outcome = Confinement(
            program: program, limits: limits.filled(from: defaults), isolation: kind, hasAccount: view != nil
        ).apply(to: specification, capabilities)
        guard let group = outcome.specification.cgroup else { return outcome }
        guard mkdir(group, 0o755) == 0 || errno == EEXIST else {
            throw PreparationError("its control group cannot be made: \(FileError(group))")
        }
        for setting in outcome.groupSettings {
            do throws(FileError) {
                try GroupTree.write(setting.value, to: "\(group)/\(setting.file)")
            } catch {
                let isMissing = error.isNotFound || error.code == EACCES
                guard isMissing, !setting.isRequired else {
                    throw PreparationError("its limits cannot be set: \(error)")
                }
            }
        }
        return outcome
    }

    /// Removes the control group of a program that has ended.
    func forget(_ program: ProgramID) {
        // One that still has processes stays.
        if let tree = capabilities.groups { rmdir(tree.folder(of: program)) }
    }

    /// Gives an algorithm what it runs from, where it runs as another user than we do.
    ///
    /// - Parameters:
    ///   - own: folders that it writes to.
    ///   - shared: folders that it reads. What is in them can be read by everybody: the agent's own folder keeps others
    ///     out.
    func handOver(own: [String], shared: [String], in folders: AgentFolders) throws(PreparationError) {
        guard let account = capabilities.account else { return }
        do throws(FileError) {
            for folder in own { try account.own(folder) }
            for folder in shared { try Self.letEverybodyRead(folder) }
            // To be passed through, not to be looked at.
            for folder in Sandbox.ancestors(of: own + shared) where folder.hasPrefix(folders.root) {
                guard chmod(folder, 0o711) == 0 else { throw FileError(folder) }
            }
        } catch {
            throw PreparationError("its files cannot be given to the user '\(account.name)': \(error)")
        }
    }

    /// An archive can have files in it that are for their owner alone. A folder that is open has been done.
    private static func letEverybodyRead(_ path: String) throws(FileError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw FileError(path) }
        var rights: mode_t = 0o444
        switch status.st_mode & S_IFMT {
        case S_IFDIR:
            guard status.st_mode & 0o005 != 0o005 else { return }
            for name in try Folder.names(in: path) { try letEverybodyRead("\(path)/\(name)") }
            rights = 0o555
        case S_IFREG:
            if status.st_mode & S_IXUSR != 0 { rights = 0o555 }
        default:
            return
        }
        guard chmod(path, status.st_mode & 0o7777 | rights) == 0 else { throw FileError(path) }
    }
}

extension ProgramSite {
    /// Confines a program, and writes what cannot be held into its log.
    func confine(
        _ specification: ProgramSpecification, of program: ProgramID, limits: Limits, isolation: Bool? = nil,
        view: Sandbox.View? = nil
    ) throws(PreparationError) -> ProgramSpecification {
        let outcome = try confinement.confine(
            specification, of: program, limits: limits, isolation: isolation, view: view)
        let lines = outcome.unheld.map {
            OutputLine(time: microsecondsNow(), stream: .stderr, text: "not limited as asked for: \($0)")
        }
        if !lines.isEmpty { journals.tell(program, lines) }
        return outcome.specification
    }
}
