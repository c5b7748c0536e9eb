import Files
import Glibc
import HubModel
import Watch

/// systemd holds programs to limits, each in a transient scope of its own (systemd-run(1)): where this agent has no
/// control group that it may divide.
struct Scopes: Sendable, Hashable {
    /// The paths of `systemd-run` and `systemctl`.
    let executable: String
    let control: String
    /// What a user's own systemd can hold; it has not always all of them.
    let controllers: Set<GroupTree.Controller>
    /// By which a user's own systemd is reached; nil for root, who has the system's.
    let userVariables: [String: String]?

    /// The command line that has `command` run in a scope; it becomes that program, and nothing of it stays.
    func commandLine(_ command: [String], of program: ProgramID, properties: [String]) -> [String] {
        var line = [executable, "--scope", "--quiet", "--description=sensorhub: \(program)"]
        line += properties.map { "--property=\($0)" } + ["--"]
        guard let userVariables else { return line + command }
        line.insert("--user", at: 1)
        // The program is not to have them. nice stands before it, as env would take a path with '=' for a variable.
        return reaching(line) + ["/usr/bin/env"] + userVariables.keys.sorted().flatMap { ["-u", $0] }
            + ["/usr/bin/nice", "-n", "0"] + command
    }

    /// The command line that asks systemd, which goes on with a command of systemctl(1).
    var systemctl: [String] { userVariables == nil ? [control] : reaching([control, "--user"]) }

    private func reaching(_ line: [String]) -> [String] {
        guard let userVariables else { return line }
        return ["/usr/bin/env"] + userVariables.keys.sorted().map { "\($0)=\(userVariables[$0]!)" } + line
    }

    /// Finds out whether systemd does it for us, by having it run something.
    static func find() -> Scopes? {
        guard File.exists("/run/systemd/system"), let executable = Executables.find("systemd-run"),
            let control = Executables.find("systemctl")
        else { return nil }
        let group: String, variables: [String: String]?
        if geteuid() == 0 {
            group = GroupTree.mount
            variables = nil
        } else {
            group = "\(GroupTree.mount)/user.slice/user-\(geteuid()).slice/user@\(geteuid()).service"
            variables = ourEnvironment { $0 == "XDG_RUNTIME_DIR" || $0 == "DBUS_SESSION_BUS_ADDRESS" }
        }
        let scopes = Scopes(
            executable: executable, control: control,
            controllers: GroupTree.controllers(in: "\(group)/cgroup.controllers"),
            userVariables: variables)
        guard !scopes.controllers.isEmpty else { return nil }
        let trial = scopes.commandLine(
            ["/usr/bin/true"], of: ProgramID(.algorithm, Identifier("trial")!), properties: ["TasksMax=16"])
        return SystemCommand.run(trial).isSuccess ? scopes : nil
    }
}
