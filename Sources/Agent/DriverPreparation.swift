import Files
import Glibc
import HubModel
import SimdJSON
import Watch

/// Makes what a driver needs to run.
struct DriverPreparation: Sendable {
    let program: ProgramID
    let limits: Limits
    let site: ProgramSite

    /// The exit code of a program whose configuration is wrong (`EX_CONFIG`, sysexits.h).
    static let configurationError: Int32 = 78

    /// Writes the driver's configuration.
    func specification(
        driver: String, type: SensorType, instance: SensorInstance, password: String
    ) throws(PreparationError) -> ProgramSpecification {
        let folder = site.folders.program(program), state = site.folders.state(of: program)
        let path = "\(folder)/config.json"
        let configuration: JSON = ["driver": .string(driver), "type": type.json, "instance": instance.json]
        do {
            try Folder.make(state)
            try File.replace(path, with: configuration.text(indented: true).utf8)
        } catch {
            throw PreparationError("its configuration cannot be written to \(folder): \(error)")
        }
        var environment = site.environment(of: program, password: password)
        environment["SENSORHUB_CONFIG"] = path
        environment["SENSORHUB_STATE"] = state
        let specification = ProgramSpecification(
            executable: DriverExecutable.path(
                of: driver, among: environment["PATH"] ?? "", otherwise: site.configuration.driverExecutable),
            environment: environment, workingDirectory: state, input: .pipe,
            restart: RestartPolicy(
                .always, fatalExitCodes: [Self.configurationError], startRetries: nil, backoffCap: .seconds(30)))
        return try site.confine(specification, of: program, limits: limits)
    }
}

/// The program of a driver.
enum DriverExecutable {
    private static let prefix = "sensorhub-driver-"

    /// An executable file `sensorhub-driver-NAME` in one of the folders, if there is one: that is how drivers of others
    /// are added. All other drivers are in `sensor-driver`.
    ///
    /// - Parameters:
    ///   - folders: as in the variable PATH. Relative ones do not count: they would depend on where the agent was started.
    ///   - standard: the path of `sensor-driver`.
    static func path(of driver: String, among folders: String, otherwise standard: String) -> String {
        // It comes from a plan, and becomes a file's name.
        guard Identifier(driver) != nil else { return standard }
        return folders.split(separator: ":").filter { $0.hasPrefix("/") }.map { "\($0)/\(prefix)\(driver)" }
            .first { !File.isFolder($0) && access($0, X_OK) == 0 } ?? standard
    }
}

extension ProgramSite {
    /// What every program is told; those with a user at the broker also how to reach it.
    func environment(of program: ProgramID, password: String) -> [String: String] {
        let ours = ourEnvironment { $0 == "PATH" || $0 == "TZ" }
        var variables = [
            "PATH": ours["PATH"] ?? defaultPath,
            "HOME": folders.state(of: program),
            "LANG": "C.UTF-8",
        ]
        if let user = program.user {
            variables["SENSORHUB_HUB"] = configuration.hub.text
            variables["SENSORHUB_BROKER"] = configuration.broker.description
            variables["SENSORHUB_USER"] = user.description
            variables["SENSORHUB_PASSWORD"] = password
        }
        if let zone = ours["TZ"] { variables["TZ"] = zone }
        return variables
    }
}
