import Files
import HubModel
import SimdJSON

/// Decides whether an app of this device is to run, and keeps the decision over restarts of the agent and the machine.
struct DeviceAppSchedule: Sendable {
    private let path: String
    private let folder: String
    private let boot: String

    init(program: ProgramID, folders: AgentFolders) {
        self.init(
            folder: folders.program(program),
            boot: (try? File.text(of: "/proc/sys/kernel/random/boot_id", limit: 64)) ?? "")
    }

    init(folder: String, boot: String) {
        self.folder = folder
        path = "\(folder)/start.json"
        self.boot = boot
    }

    /// - Throws: `PreparationError` with STOPPED where it is not to run.
    func check(_ run: DeviceAppRun) throws(PreparationError) {
        let before = (try? File.bytes(of: path, limit: 4_096)).flatMap { try? JSON(parsing: $0) }
            .flatMap { try? DeviceAppStart(DocumentReader($0)) }
        let start = DeviceAppStart(run, boot: boot, before: before)
        if start != before {
            do {
                try Folder.make(folder)
                try File.replace(path, with: start.json.bytes(), isDurable: true)
            } catch {
                throw PreparationError("\(path) cannot be written: \(error)")
            }
        }
        guard !start.runs else { return }
        let wasStarted = run.isWanted && before?.request == run.request
        throw PreparationError(
            wasStarted
                ? "the machine was started anew, and the app has no start_on_boot"
                : run.startsOnBoot ? "starts with the machine, or by start_app" : "waits for start_app",
            isFinal: true, state: .stopped)
    }
}
