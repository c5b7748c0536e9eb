import Glibc
import HubModel
import Watch

/// Takes samples of this machine and of the programs that run here.
struct StatisticsSource: Sendable {
    private let sampler = UsageSampler()
    private let journals: Journals
    private let folders: AgentFolders
    private let folder: String

    init(_ site: ProgramSite) {
        journals = site.journals
        folders = site.folders
        folder = site.configuration.dataDirectory
    }

    /// - Returns: the sample, and what taking it has cost of one core.
    func sample() async -> (sample: StatisticsSample, cost: Duration) {
        // By what is on record now: the number may be somebody else's by now.
        let running = journals.snapshot.filter { $0.state.isAlive && $0.pid != nil }
        var records: [String: ProcessRecord] = [:]
        for report in running {
            guard let record = folders.watch(of: report.program).liveRecord, record.pid == report.pid else { continue }
            records["\(report.program)"] = record
        }
        let time = microsecondsNow()
        return await onThread { [sampler, folder, records] in
            let measured = sampler.sample(records)
            let programs = running.compactMap { report in
                measured.programs["\(report.program)"].map {
                    ProgramStatistics(program: report.program, run: report.run, $0)
                }
            }
            let node = NodeStatistics(measured.machine, disk: Disk(folder))
            return (StatisticsSample(time: time, node: node, programs: programs), measured.cost)
        }
    }
}

/// The disk that a folder is on, in bytes; zeros where it cannot be looked at.
private struct Disk {
    var total: Int64 = 0
    var free: Int64 = 0

    init(_ folder: String) {
        var status = statvfs()
        guard statvfs(folder, &status) == 0 else { return }
        total = Int64(
            clamping: UInt64(status.f_blocks).multipliedReportingOverflow(by: UInt64(status.f_frsize)).partialValue)
        free = Int64(
            clamping: UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize)).partialValue)
    }
}

extension NodeStatistics {
    fileprivate init(_ machine: MachineUsage, disk: Disk) {
        self.init(
            cpuPercent: machine.cpuPercent, load: machine.load, memoryTotal: machine.memoryTotal,
            memoryAvailable: machine.memoryAvailable, diskTotal: disk.total, diskFree: disk.free,
            temperatureCelsius: machine.temperatureCelsius, uptimeSeconds: machine.uptimeSeconds)
    }
}
