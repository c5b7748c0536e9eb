import Agent
import ArgumentParser
import Embedded
import Glibc
import Hub
import HubModel
import Postgres
import SimdJSON

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Check broker, database, versions and permissions, and say what to do.")
    @OptionGroup var options: HubOptions

    /// One thing that was looked at.
    private struct Finding {
        enum Verdict: String { case good = "ok", warning = "warning", bad = "FAIL" }

        let verdict: Verdict
        let subject: String
        let detail: String
        /// What to do about it.
        var advice = ""
    }

    func run() async throws {
        var findings = programs()
        findings += folder()
        findings += confinement()
        if let file = try? ConnectionFile(data: options.directory) {
            findings += permissions(of: file)
            if let database = file.database { findings += self.database(database) }
            findings += await hub(file)
        } else {
            findings.append(
                Finding(
                    verdict: .bad, subject: "hub", detail: "none is running under \(options.directory.path)",
                    advice: "start one: sensorhub up"))
        }
        show(findings)
        if findings.contains(where: { $0.verdict == .bad }) { throw ExitCode.failure }
    }

    private func show(_ findings: [Finding]) {
        if options.json {
            let list = findings.map { finding -> JSON in
                [
                    "verdict": .string(finding.verdict.rawValue), "subject": .string(finding.subject),
                    "detail": .string(finding.detail), "advice": .string(finding.advice),
                ]
            }
            print(JSON.array(list).text(indented: true))
            return
        }
        var table = Table(["", "what", "found"])
        for finding in findings {
            let advice = finding.advice.isEmpty ? "" : " → \(finding.advice)"
            table.add([finding.verdict.rawValue, finding.subject, finding.detail + advice])
        }
        table.lines.dropFirst().forEach { print($0) }
    }

    // MARK: This machine

    private func programs() -> [Finding] {
        var findings: [Finding] = []
        do {
            let installation = try Installation.find()
            findings.append(
                Finding(verdict: .good, subject: "version", detail: "\(sensorhubVersion), \(installation.executable)"))
            for (subject, path) in [("driver", installation.driver), ("watch", installation.watch)] {
                findings.append(
                    access(path, X_OK) == 0
                        ? Finding(verdict: .good, subject: subject, detail: path)
                        : Finding(
                            verdict: .bad, subject: subject, detail: "\(path) is missing",
                            advice: "build it: make build"))
            }
        } catch {
            findings.append(Finding(verdict: .bad, subject: "installation", detail: "\(error)"))
        }
        let needed = [
            ("mosquitto", "mosquitto", ["/usr/sbin"]), ("postgres", "postgresql", postgresFolders()),
            ("python3", "python3-venv", []),
        ]
        for (program, package, folders) in needed {
            if let path = find(program, besides: folders) {
                findings.append(Finding(verdict: .good, subject: program, detail: path))
            } else {
                findings.append(
                    Finding(
                        verdict: .bad, subject: program, detail: "not found", advice: "apt-get install \(package)"))
            }
        }
        return findings
    }

    private func postgresFolders() -> [String] {
        (13...30).reversed().map { "/usr/lib/postgresql/\($0)/bin" }
    }

    private func find(_ program: String, besides folders: [String]) -> String? {
        let path = getenv("PATH").map { String(cString: $0) } ?? ""
        return (path.split(separator: ":").map(String.init) + folders).map { "\($0)/\(program)" }
            .first { access($0, X_OK) == 0 }
    }

    private func folder() -> [Finding] {
        let path = options.directory.path
        var space = statvfs()
        guard statvfs(path, &space) == 0 else {
            return [
                Finding(
                    verdict: .warning, subject: "data folder", detail: "\(path): \(String(cString: strerror(errno)))",
                    advice: "sensorhub up makes it")
            ]
        }
        let free = (UInt64(space.f_bavail) * UInt64(space.f_frsize)) >> 20
        return [
            Finding(
                verdict: free < 200 ? .bad : free < 1_000 ? .warning : .good, subject: "data folder",
                detail: "\(path), \(free) MiB free",
                advice: free < 1_000 ? "make room: a full disk stops the database" : "")
        ]
    }

    /// What the agent of this folder has found; nothing where it has none.
    private func confinement() -> [Finding] {
        (ConfinementReport.read(folder: options.directory.agent) ?? []).map { report in
            Finding(
                verdict: report.isComplete ? .good : .warning, subject: report.subject, detail: report.detail,
                advice: report.advice)
        }
    }

    private func permissions(of file: ConnectionFile) -> [Finding] {
        var status = stat()
        guard stat(file.path, &status) == 0 else { return [] }
        let isPrivate = status.st_mode & 0o077 == 0
        return [
            Finding(
                verdict: isPrivate ? .good : .bad, subject: "connection file",
                detail: isPrivate ? file.path : "\(file.path) can be read by others",
                advice: isPrivate ? "" : "chmod 600 \(file.path)")
        ]
    }

    // MARK: The running hub

    private func database(_ target: String) -> [Finding] {
        do {
            let database = try Connection(target, patienceSeconds: 5)
            let size = try database.query("SELECT pg_size_pretty(pg_database_size(current_database())) AS size")[0]
                .text("size")
            let missing = try database.query("SELECT to_regclass('hub.sensor') IS NULL AS missing")[0].bool("missing")
            return [
                Finding(
                    verdict: .good, subject: "database", detail: "PostgreSQL \(database.serverVersion), \(size)"),
                missing
                    ? Finding(
                        verdict: .bad, subject: "schema", detail: "not there",
                        advice: "psql \"\(target)\" -f schema.sql")
                    : Finding(verdict: .good, subject: "schema", detail: "there"),
            ]
        } catch {
            return [
                Finding(
                    verdict: .bad, subject: "database", detail: "\(error)",
                    advice: "look at \(options.directory.logs)")
            ]
        }
    }

    private func hub(_ file: ConnectionFile) async -> [Finding] {
        do {
            let client = try await HubClient(file)
            var findings = [Finding(verdict: .good, subject: "broker", detail: "\(file.broker) as \(file.user)")]
            let status = try await client.request("hub", "status")
            let version = status.plain("version")
            findings.append(
                Finding(
                    verdict: version == sensorhubVersion ? .good : .warning, subject: "hub",
                    detail: "'\(file.hub)', version \(version), \(status["counts"]?.pairs ?? "")",
                    advice: version == sensorhubVersion
                        ? "" : "this command is version \(sensorhubVersion): start the hub anew"))
            let nodes = status["nodes"]?.array ?? []
            for node in nodes {
                let isOnline = node["status"] == "online"
                findings.append(
                    Finding(
                        verdict: isOnline ? .good : .warning, subject: "node \(node.plain("node"))",
                        detail: node.plain("status"),
                        advice: isOnline ? "" : "start its agent: sensorhub agent"))
            }
            if nodes.isEmpty {
                findings.append(
                    Finding(
                        verdict: .bad, subject: "nodes", detail: "no agent has ever come",
                        advice: "start one: sensorhub agent"))
            }
            if let letters = status["counts"]?["dead_letters"]?.int, letters > 0 {
                findings.append(
                    Finding(
                        verdict: .warning, subject: "dead letters", detail: "\(letters) readings could not be stored",
                        advice: "psql: SELECT * FROM report.dead_letter"))
            }
            return findings
        } catch {
            return [
                Finding(
                    verdict: .bad, subject: "hub", detail: "\(error)",
                    advice: "is 'sensorhub up' running? look at \(options.directory.logs)")
            ]
        }
    }
}
