import Files
public import SimdJSON

/// What an agent has found out about its machine, for people and for `sensorhub doctor`.
public struct ConfinementReport: Sendable, Hashable {
    public let subject: String
    /// True where all of it can be had.
    public let isComplete: Bool
    public let detail: String
    /// Why not, and what to do about it; empty where it is complete.
    public let advice: String

    static func reports(of capabilities: Capabilities) -> [ConfinementReport] {
        [limits(capabilities), isolation(capabilities)] + (capabilities.account.map { [account($0)] } ?? [])
    }

    private static func limits(_ capabilities: Capabilities) -> ConfinementReport {
        let controllers = capabilities.controllers
        let memory = controllers.contains(.memory) ? "for the whole program" : "for each process of a program"
        let cpu = controllers.contains(.cpu) ? "for the whole program" : "not held"
        let processes =
            controllers.contains(.pids)
            ? "for the whole program" : capabilities.canCountProcesses ? "for isolated programs" : "not held"
        let place =
            capabilities.groups.map { "control group \($0.path); " }
            ?? capabilities.scopes.map { "\($0.executable) --scope; " } ?? ""
        let isComplete = controllers.count == GroupTree.Controller.allCases.count
        return ConfinementReport(
            subject: "limits", isComplete: isComplete,
            detail: "\(place)memory: \(memory), cpu: \(cpu), processes: \(processes), files: for each process",
            advice: isComplete ? "" : capabilities.groupsReason)
    }

    private static func isolation(_ capabilities: Capabilities) -> ConfinementReport {
        ConfinementReport(
            subject: "isolation", isComplete: capabilities.sandbox != nil,
            detail: capabilities.sandbox.map { "algorithms see little of this machine (\($0.executable))" }
                ?? "algorithms see all that their user may see",
            advice: capabilities.sandboxReason)
    }

    private static func account(_ account: Account) -> ConfinementReport {
        let isOurs = account.name != "nobody"
        return ConfinementReport(
            subject: "algorithms' user", isComplete: isOurs, detail: account.name,
            advice: isOurs ? "" : "one of their own is better: adduser --system --group sensorhub")
    }

    // MARK: In the agent's folder

    private static func file(in folder: String) -> String { "\(folder)/confinement.json" }

    /// Reads what the agent with this folder has found at its last start; nil where there is nothing.
    public static func read(folder: String) -> [ConfinementReport]? {
        guard let bytes = try? File.bytes(of: file(in: folder), limit: 1 << 20),
            let list = (try? JSON(parsing: bytes))?["findings"]?.array
        else { return nil }
        return list.compactMap { item in
            guard let subject = item["subject"]?.string, let isComplete = item["complete"]?.bool,
                let detail = item["detail"]?.string, let advice = item["advice"]?.string
            else { return nil }
            return ConfinementReport(subject: subject, isComplete: isComplete, detail: detail, advice: advice)
        }
    }

    static func write(_ capabilities: Capabilities, folder: String) throws(FileError) {
        let findings = reports(of: capabilities).map { report -> JSON in
            [
                "subject": .string(report.subject), "complete": .bool(report.isComplete),
                "detail": .string(report.detail), "advice": .string(report.advice),
            ]
        }
        let controllers = capabilities.controllers
        let document: JSON = [
            "memory": .bool(controllers.contains(.memory)), "cpu": .bool(controllers.contains(.cpu)),
            "processes": .bool(controllers.contains(.pids) || capabilities.canCountProcesses),
            "isolation": .bool(capabilities.sandbox != nil), "findings": .array(findings),
        ]
        try File.replace(file(in: folder), with: document.text(indented: true).utf8)
    }
}
