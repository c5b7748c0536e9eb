import HubModel
import Testing
import Watch

@testable import Agent

@Suite struct ConfinementTests {
    private let program = ProgramID(.algorithm, Identifier("bus-1")!)
    private let specification = ProgramSpecification(
        executable: "/apps/bus/main.py", arguments: ["bus-1"], workingDirectory: "/apps/bus")
    private let all = Limits(memory: 64 << 20, cpuPercent: 50, processes: 20, files: 256)
    private let view = Sandbox.View(readOnly: ["/apps/bus"], writable: ["/state"])

    private func tree(_ controllers: Set<GroupTree.Controller> = [.cpu, .memory, .pids]) -> GroupTree {
        GroupTree(path: "/sys/fs/cgroup/ours", controllers: controllers, prefix: "main.here.")
    }

    private func sandbox(countsProcesses: Bool = true) -> Sandbox {
        Sandbox(executable: "/usr/bin/bwrap", system: ["--ro-bind", "/usr", "/usr"], countsProcesses: countsProcesses)
    }

    private func confine(
        _ limits: Limits, _ capabilities: Capabilities, _ isolation: Confinement.Isolation = .off,
        hasAccount: Bool = true
    ) -> Confinement.Outcome {
        Confinement(program: program, limits: limits, isolation: isolation, hasAccount: hasAccount)
            .apply(to: specification, capabilities)
    }

    // MARK: Limits

    @Test func whatHasNoLimitsStaysAsItIs() {
        let outcome = confine(.none, Capabilities(groups: tree()))
        #expect(outcome == Confinement.Outcome(specification: specification))
    }

    @Test func controlGroupsHoldAll() {
        let outcome = confine(all, Capabilities(groups: tree()))
        #expect(outcome.specification.cgroup == "/sys/fs/cgroup/ours/main.here.algorithm-bus-1")
        #expect(
            outcome.groupSettings.map { "\($0.file)=\($0.value)" } == [
                "memory.max=67108864", "memory.swap.max=0", "memory.oom.group=1", "cpu.max=50000 100000", "pids.max=20",
            ])
        #expect(outcome.groupSettings.filter { !$0.isRequired }.map(\.file) == ["memory.swap.max", "memory.oom.group"])
        // Of open files there are only resource limits.
        #expect(outcome.specification.resourceLimits == [ResourceLimit(.openFiles, 256)])
        #expect(outcome.unheld.isEmpty)
        #expect(outcome.specification.executable == specification.executable)
    }

    @Test func onlyFilesNeedNoControlGroup() {
        let outcome = confine(Limits(files: 64), Capabilities(groups: tree()))
        #expect(outcome.specification.cgroup == nil && outcome.groupSettings.isEmpty)
        #expect(outcome.specification.resourceLimits == [ResourceLimit(.openFiles, 64)])
    }

    @Test func withoutControlGroupsResourceLimitsHoldWhatTheyCan() {
        let outcome = confine(all, Capabilities(groupsReason: "there are none"))
        #expect(outcome.specification.cgroup == nil && outcome.groupSettings.isEmpty)
        #expect(
            outcome.specification.resourceLimits == [ResourceLimit(.data, 64 << 20), ResourceLimit(.openFiles, 256)])
        #expect(
            outcome.unheld == [
                "memory: each process of it may take that much, not all together: there are none",
                "cpu: there are none", "processes: there are none",
            ])
    }

    @Test func aMissingControllerIsNamed() {
        let outcome = confine(all, Capabilities(groups: tree([.memory, .pids]), groupsReason: "no cpu"))
        #expect(outcome.unheld == ["cpu: no cpu"])
        #expect(outcome.specification.cgroup != nil)
        #expect(!outcome.groupSettings.contains { $0.file == "cpu.max" })
    }

    @Test func aSandboxsOwnProcessesDoNotCount() {
        let outcome = confine(
            Limits(processes: 20), Capabilities(groups: tree(), sandbox: sandbox()), .wherePossible(view))
        #expect(outcome.groupSettings.map { "\($0.file)=\($0.value)" } == ["pids.max=22"])
        #expect(!outcome.specification.arguments.contains { $0.hasPrefix("--nproc") })
    }

    @Test func withoutControlGroupsASandboxHoldsProcesses() {
        let outcome = confine(
            Limits(processes: 20), Capabilities(groupsReason: "none", sandbox: sandbox()), .wherePossible(view))
        #expect(outcome.unheld.isEmpty)
        // One is bubblewrap's.
        #expect(
            outcome.specification.arguments.suffix(5) == [
                "/usr/bin/prlimit", "--nproc=21", "--", "/apps/bus/main.py", "bus-1",
            ])
    }

    @Test func ofAnOlderKernelASandboxDoesNot() {
        let outcome = confine(
            Limits(processes: 20), Capabilities(groupsReason: "none", sandbox: sandbox(countsProcesses: false)),
            .wherePossible(view))
        #expect(outcome.unheld == ["processes: none"])
        #expect(!outcome.specification.arguments.contains { $0.hasPrefix("--nproc") })
    }

    // MARK: Isolation

    @Test func anIsolatedProgramRunsInASandbox() {
        let outcome = confine(.none, Capabilities(sandbox: sandbox()), .wanted(view))
        let line = [outcome.specification.executable] + outcome.specification.arguments
        #expect(line.prefix(4) == ["/usr/bin/env", "--ignore-signal", "--default-signal=CHLD", "/usr/bin/bwrap"])
        #expect(line.contains("--unshare-pid"))
        #expect(
            line.suffix(8) == [
                "--", "/usr/bin/env", "--default-signal", "/usr/bin/setpriv", "--no-new-privs", "--",
                "/apps/bus/main.py",
                "bus-1",
            ])
        for mount in [
            ["--ro-bind", "/apps/bus", "/apps/bus"], ["--bind", "/state", "/state"], ["--chdir", "/apps/bus"],
        ] {
            #expect(line.indices.contains { line[$0...].starts(with: mount) })
        }
        #expect(outcome.specification.wrappers == 2)
        #expect(outcome.specification.workingDirectory == "/apps/bus")
        #expect(outcome.unheld.isEmpty)
    }

    @Test func foldersAboveAreMadeOnceAndInOrder() {
        #expect(Sandbox.ancestors(of: ["/a/b/c", "/a/b/d", "/a/e/f", "/g"]) == ["/a", "/a/b", "/a/e"])
    }

    @Test func whatCannotBeIsolatedIsSaidWhereItWasAskedFor() {
        let without = Capabilities(sandboxReason: "no bubblewrap")
        #expect(confine(.none, without, .wanted(view)).unheld == ["isolation: no bubblewrap"])
        let quiet = confine(.none, without, .wherePossible(view))
        #expect(quiet == Confinement.Outcome(specification: specification))
        #expect(quiet.specification.wrappers == 0)
    }

    @Test func whatIsNotToBeIsolatedIsNot() {
        #expect(confine(.none, Capabilities(sandbox: sandbox())).specification == specification)
    }

    // MARK: Scopes of systemd

    private func scopes(_ variables: [String: String]? = nil) -> Scopes {
        Scopes(
            executable: "/usr/bin/systemd-run", control: "/usr/bin/systemctl", controllers: [.cpu, .memory, .pids],
            userVariables: variables)
    }

    @Test func systemdHoldsAllInAScope() {
        let outcome = confine(all, Capabilities(scopes: scopes()))
        #expect(outcome.specification.executable == "/usr/bin/systemd-run")
        #expect(
            outcome.specification.arguments == [
                "--scope", "--quiet", "--description=sensorhub: algorithm-bus-1",
                "--property=MemoryMax=67108864", "--property=MemorySwapMax=0", "--property=CPUQuota=50%",
                "--property=TasksMax=20", "--", "/apps/bus/main.py", "bus-1",
            ])
        #expect(outcome.specification.cgroup == nil && outcome.groupSettings.isEmpty && outcome.unheld.isEmpty)
        #expect(outcome.specification.resourceLimits == [ResourceLimit(.openFiles, 256)])
        #expect(outcome.specification.systemctl == ["/usr/bin/systemctl"])
    }

    @Test func withoutLimitsThereIsNoScope() {
        #expect(
            confine(Limits(files: 64), Capabilities(scopes: scopes())).specification.executable == "/apps/bus/main.py")
    }

    @Test func aUsersScopeKeepsItsVariablesFromTheProgram() {
        let specification = confine(
            Limits(processes: 20), Capabilities(scopes: scopes(["XDG_RUNTIME_DIR": "/run/user/1000"]))
        ).specification
        #expect(
            specification.systemctl
                == ["/usr/bin/env", "XDG_RUNTIME_DIR=/run/user/1000", "/usr/bin/systemctl", "--user"])
        let line = [specification.executable] + specification.arguments
        #expect(line.prefix(4) == ["/usr/bin/env", "XDG_RUNTIME_DIR=/run/user/1000", "/usr/bin/systemd-run", "--user"])
        #expect(
            line.suffix(9) == [
                "--", "/usr/bin/env", "-u", "XDG_RUNTIME_DIR", "/usr/bin/nice", "-n", "0", "/apps/bus/main.py", "bus-1",
            ])
    }

    @Test func rootAsksForTheScopeBeforeItBecomesSomebodyElse() {
        let specification = confine(Limits(processes: 20), Capabilities(scopes: scopes(), account: account))
            .specification
        #expect(specification.userID == nil && specification.groupID == nil)
        let place = specification.arguments.firstIndex(of: "/usr/bin/setpriv")
        #expect(place.map { specification.arguments[$0 - 1] } == "--")
        #expect(specification.arguments.contains("--reuid=990"))
    }

    @Test func aSandboxIsInTheScope() throws {
        let arguments = confine(
            Limits(processes: 20), Capabilities(scopes: scopes(), sandbox: sandbox()), .wanted(view)
        ).specification.arguments
        #expect(arguments.contains("--property=TasksMax=22"))
        let bubblewrap = try #require(arguments.firstIndex(of: "/usr/bin/bwrap"))
        #expect(try #require(arguments.firstIndex(of: "--quiet")) < bubblewrap)
    }

    // MARK: Accounts

    private let account = Account(name: "sensorhub", userID: 990, groupID: 991)

    @Test func rootsAlgorithmsRunAsSomebodyElse() {
        let specification = confine(.none, Capabilities(account: account)).specification
        #expect(specification.userID == 990 && specification.groupID == 991)
    }

    @Test func rootsDriversStayRoot() {
        let specification = confine(.none, Capabilities(account: account), hasAccount: false).specification
        #expect(specification.userID == nil && specification.groupID == nil)
    }

    @Test func inRootsSandboxTheyAreSomebodyElseAsWell() {
        let specification = confine(
            Limits(processes: 20), Capabilities(sandbox: sandbox(), account: account), .wanted(view)
        ).specification
        // bubblewrap itself has to be root, to show folders that others may not enter.
        #expect(specification.userID == nil)
        #expect(specification.arguments.contains("--reuid=990") && specification.arguments.contains("--regid=991"))
        #expect(specification.arguments.contains("--clear-groups"))
        // Root's bubblewrap makes no user namespace in which processes could be counted.
        #expect(
            specification.arguments.suffix(9) == [
                "/usr/bin/unshare", "--user", "--map-current-user", "--", "/usr/bin/prlimit", "--nproc=20", "--",
                "/apps/bus/main.py", "bus-1",
            ])
    }
}
