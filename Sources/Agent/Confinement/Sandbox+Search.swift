import Files
import Glibc
import Watch

extension Sandbox {
    /// Finds bubblewrap and tries whether it works here: often it does not inside of containers.
    ///
    /// - Parameter account: whom algorithms run as, where we are root.
    /// - Returns: nil where there is none, with the reason.
    static func find(account: Account?) -> (sandbox: Sandbox?, reason: String) {
        guard let executable = Executables.find("bwrap") else {
            return (nil, "bubblewrap is not installed: apt-get install bubblewrap")
        }
        var reason = ""
        for countsProcesses in kernelCountsInNamespaces() ? [true, false] : [false] {
            let sandbox = Sandbox(executable: executable, system: systemArguments(), countsProcesses: countsProcesses)
            let trial = sandbox.commandLine(
                ["/usr/bin/true"], view: View(readOnly: [], writable: []), workingDirectory: "/", account: account,
                processes: 4)
            let result = SystemCommand.run(trial)
            if result.isSuccess { return (sandbox, "") }
            reason = result.reason
        }
        return (
            nil,
            "bubblewrap does not work here (\(reason)): the kernel or a container has to let it make namespaces"
        )
    }

    /// The system's folders as they are here: on a Debian of today /bin is a link.
    private static func systemArguments() -> [String] {
        var arguments = ["--ro-bind", "/usr", "/usr"]
        for folder in ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"] {
            if let target = link(folder) {
                arguments += ["--symlink", target, folder]
            } else if File.isFolder(folder) {
                arguments += ["--ro-bind", folder, folder]
            }
        }
        arguments += ["--ro-bind", "/etc", "/etc"]
        // Our own passwords.
        if File.isFolder("/etc/sensorhub") { arguments += ["--tmpfs", "/etc/sensorhub"] }
        arguments += ["--proc", "/proc", "--dev", "/dev", "--dir", "/run", "--dir", "/var"]
        arguments += ["--symlink", "../tmp", "/var/tmp"]
        arguments += ["--ro-bind-try", "/sys/devices/system/cpu", "/sys/devices/system/cpu"]
        // Mostly a link to what a service keeps under /run.
        if let names = Executables.realPath("/etc/resolv.conf"), !names.hasPrefix("/etc/"), !names.hasPrefix("/usr/") {
            arguments += ["--ro-bind", names, names]
        }
        return arguments
    }

    private static func link(_ path: String) -> String? {
        var target = [UInt8](repeating: 0, count: 4_096)
        let count = target.withUnsafeMutableBytes {
            readlink(path, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
        }
        return count > 0 ? String(decoding: target[..<count], as: UTF8.self) : nil
    }

    /// Since Linux 5.14 (`ucounts` of RLIMIT_NPROC).
    private static func kernelCountsInNamespaces() -> Bool {
        guard let text = try? File.text(of: "/proc/sys/kernel/osrelease", limit: 256) else { return false }
        let version = text.split(separator: ".").prefix(2).map { Int($0.prefix { $0.isNumber }) ?? 0 }
        return version.count == 2 && (version[0], version[1]) >= (5, 14)
    }
}
