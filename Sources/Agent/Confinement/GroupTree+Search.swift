import CShims
import Files
import Glibc
import HubModel

extension GroupTree {
    static let mount = "/sys/fs/cgroup"
    /// Where our own processes go: a group that has groups with limits below it cannot have processes itself.
    private static let ownGroup = "sensorhub-services"

    /// Finds the group that this process is in, and prepares it for groups below it. That it moves all processes of it
    /// into one below is why it is only done where the group is ours.
    ///
    /// - Parameter prefix: begins the names of this agent's groups.
    /// - Returns: nil where programs cannot have groups, with the reason and the way out.
    static func find(prefix: String) -> (tree: GroupTree?, reason: String) {
        guard File.exists("\(mount)/cgroup.controllers") else {
            return (
                nil, "control groups (v2) are not mounted at \(mount): boot with systemd.unified_cgroup_hierarchy=1"
            )
        }
        guard let own = ownPath() else { return (nil, "/proc/self/cgroup does not say which control group this is") }
        let path: String
        switch base(of: own) {
        case .success(let base): path = base
        case .failure(let error): return (nil, error.reason)
        }
        do {
            try moveProcesses(of: path)
        } catch {
            return (nil, "the control group \(path) cannot be divided (\(error))")
        }
        enable(in: path)
        let enabled = controllers(in: "\(path)/cgroup.subtree_control")
        guard !enabled.isEmpty else {
            return (nil, "the control group \(path) has no controllers: cpu, memory and pids are to be delegated to it")
        }
        let missing = Controller.allCases.filter { !enabled.contains($0) }.map(\.rawValue)
        return (
            GroupTree(path: path, controllers: enabled, prefix: prefix),
            missing.isEmpty
                ? "" : "the control group \(path) has not the controllers \(missing.joined(separator: ", "))"
        )
    }

    /// From the line of the hierarchy without controllers of its own (cgroups(7)).
    private static func ownPath() -> String? {
        guard let text = try? File.text(of: "/proc/self/cgroup", limit: 65_536) else { return nil }
        return text.split(separator: "\n").first { $0.hasPrefix("0::/") }.map { String($0.dropFirst(3)) }
    }

    private static func base(of own: String) -> Result<String, AgentError> {
        var path = own == "/" ? mount : mount + own
        let isSystemd = File.exists("/run/systemd/system")
        if path.hasSuffix("/\(ownGroup)") || (isSystemd && !isDelegated(path) && isDelegated(Folder.parent(of: path))) {
            // Where an earlier agent has put us, or systemd by DelegateSubgroup=.
            path = Folder.parent(of: path)
        }
        // systemd alone may write to what it has not given away.
        if isSystemd, !isDelegated(path) {
            return .failure(AgentError("systemd has not delegated the control group \(path): Delegate=yes in the unit"))
        }
        guard access("\(path)/cgroup.procs", W_OK) == 0, access(path, W_OK) == 0 else {
            return .failure(AgentError("the control group \(path) is not ours: Delegate=yes in the unit of systemd"))
        }
        guard !File.exists("\(path)/cgroup.type") else { return .success(path) }
        // The root of all groups may have processes; but ours are kept together.
        enable(in: path)
        path += "/sensorhub"
        guard mkdir(path, 0o755) == 0 || errno == EEXIST else {
            return .failure(AgentError("\(path) cannot be made: \(String(cString: strerror(errno)))"))
        }
        return .success(path)
    }

    private static func isDelegated(_ path: String) -> Bool {
        ["user.delegate", "trusted.delegate"].contains { (name: String) in sh_is_attribute_set(path, name) == 1 }
    }

    private static func moveProcesses(of path: String) throws(FileError) {
        let target = "\(path)/\(ownGroup)"
        // A process can start another one while we move it.
        for _ in 0..<10 {
            let numbers = try File.text(of: "\(path)/cgroup.procs").split(separator: "\n")
            guard !numbers.isEmpty else { return }
            guard mkdir(target, 0o755) == 0 || errno == EEXIST else { throw FileError(target) }
            for number in numbers {
                // One that has ended meanwhile is no matter.
                do throws(FileError) { try write(String(number), to: "\(target)/cgroup.procs") } catch {
                    guard error.code == ESRCH else { throw error }
                }
            }
        }
        throw FileError("\(path)/cgroup.procs", EBUSY)
    }

    private static func enable(in path: String) {
        for controller in controllers(in: "\(path)/cgroup.controllers") {
            // What could not be enabled shows when it is read back.
            try? write("+\(controller.rawValue)", to: "\(path)/cgroup.subtree_control")
        }
    }

    static func controllers(in file: String) -> Set<Controller> {
        let words = (try? File.text(of: file, limit: 4_096))?.split(whereSeparator: \.isWhitespace) ?? []
        return Set(words.compactMap { Controller(rawValue: String($0)) })
    }

    /// In one write, as the kernel wants it.
    static func write(_ value: String, to file: String) throws(FileError) {
        let descriptor = open(file, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(file) }
        defer { close(descriptor) }
        var text = value
        let count = text.withUTF8 { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        guard count >= 0 else { throw FileError(file) }
    }
}
