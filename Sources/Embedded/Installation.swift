import Files
import Glibc

/// Where the parts of an installed (or freshly built) sensorhub lie.
public struct Installation: Sendable, Hashable {
    /// The program that runs now, without symbolic links.
    public let executable: String
    /// The folder with schema.sql, mosquitto.conf, Python/, Runtimes/ and Examples/.
    public let share: String

    public var schema: String { "\(share)/schema.sql" }
    public var mosquittoConfiguration: String { "\(share)/mosquitto.conf" }
    public var python: String { "\(share)/Python" }
    /// How programs are run: a JSON file for each way.
    public var runtimes: String { "\(share)/Runtimes" }
    public var examples: String { "\(share)/Examples" }
    /// The program that runs a sensor's driver; it lies beside this one.
    public var driver: String { "\(Folder.parent(of: executable))/sensor-driver" }
    /// The program that watches a program; likewise.
    public var watch: String { "\(Folder.parent(of: executable))/sensorhub-watch" }

    /// Finds the parts: what SENSORHUB_SHARE says, else share/sensorhub beside the program's folder, else the nearest
    /// folder above the program that has both schema.sql and mosquitto.conf (a checkout), else /usr/share/sensorhub.
    ///
    /// - Throws: `EmbeddedError` where that folder has them not.
    public static func find() throws -> Installation {
        // Linux adds this where the file has been replaced since the program was started, as an upgrade does.
        let link = linkTarget("/proc/self/exe") ?? CommandLine.arguments[0]
        let suffix = " (deleted)"
        let executable = link.hasSuffix(suffix) ? String(link.dropLast(suffix.count)) : link
        return try find(executable: executable, shareFromEnvironment: environmentVariable("SENSORHUB_SHARE"))
    }

    static func find(executable: String, shareFromEnvironment: String?) throws(EmbeddedError) -> Installation {
        if let share = shareFromEnvironment, !share.isEmpty {
            guard let path = realPath(share), isShare(path) else {
                throw EmbeddedError(
                    .file, "SENSORHUB_SHARE is '\(share)', but schema.sql and mosquitto.conf are not there")
            }
            return Installation(executable: executable, share: path)
        }
        var folder = Folder.parent(of: executable)
        let installed = "\(Folder.parent(of: folder))/share/sensorhub"
        if isShare(installed) { return Installation(executable: executable, share: installed) }
        while folder != "/", folder != "." {
            if isShare(folder) { return Installation(executable: executable, share: folder) }
            folder = Folder.parent(of: folder)
        }
        guard isShare("/usr/share/sensorhub") else {
            throw EmbeddedError(
                .file,
                """
                schema.sql and mosquitto.conf are neither in a folder above \(executable) nor in \
                /usr/share/sensorhub; say where they are with SENSORHUB_SHARE
                """)
        }
        return Installation(executable: executable, share: "/usr/share/sensorhub")
    }

    private static func isShare(_ folder: String) -> Bool {
        File.exists("\(folder)/schema.sql") && File.exists("\(folder)/mosquitto.conf")
    }
}

/// A variable of the process's environment; nil where it is not set.
func environmentVariable(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }
}
