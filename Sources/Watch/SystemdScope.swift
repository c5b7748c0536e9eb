import Glibc

/// A transient unit that systemd has made for a program (systemd.scope(5)). Its control group goes with the program;
/// systemd remembers how it ended.
struct SystemdScope: Equatable {
    let name: String

    /// How long systemd may take to hear of the end.
    private static let patience = Duration.seconds(2)

    /// Nil for a group that is none of a scope's.
    ///
    /// - Parameter group: the path of its control group.
    init?(group: String) {
        guard let name = group.split(separator: "/").last, name.hasSuffix(".scope"), !name.hasPrefix("-") else {
            return nil
        }
        self.name = String(name)
    }

    /// Whether the kernel has killed in it for want of memory. To be asked when the program has ended; blocks.
    ///
    /// - Parameter systemctl: the command line that reaches the systemd that has made it.
    func wasOutOfMemory(_ systemctl: [String]) -> Bool {
        let deadline = ContinuousClock.now + Self.patience
        while true {
            let answer = SystemCommand.run(systemctl + ["show", "--property=ActiveState,Result", "--", name])
            if Self.isOutOfMemory(answer.output) {
                // It is remembered for whoever asks. Nobody else does.
                _ = SystemCommand.run(systemctl + ["reset-failed", "--", name])
                return true
            }
            guard answer.isSuccess, !Self.hasEnded(answer.output), ContinuousClock.now < deadline else { return false }
            usleep(50_000)
        }
    }

    static func isOutOfMemory(_ properties: String) -> Bool {
        properties.split(separator: "\n").contains("Result=oom-kill")
    }

    static func hasEnded(_ properties: String) -> Bool {
        properties.split(separator: "\n").contains { $0 == "ActiveState=inactive" || $0 == "ActiveState=failed" }
    }
}
