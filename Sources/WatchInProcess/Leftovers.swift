import Files
import Glibc
import Watch

/// Ends what an earlier supervisor, which was killed, has left running, by the record files that `WatchedProgram` keeps
/// in a folder. A process is touched only where its number and its start time are those of the record. Not to be called
/// while another supervisor uses the folder.
///
/// The files of processes that had ended before are removed. Those of the others stay, for the same programs will be
/// started again, and on a full disk could have no new ones.
///
/// - Parameters:
///   - stopSignal: sent to the process groups first.
///   - stopWait: how long they may take before they are killed.
/// - Returns: the names of the programs that were still running.
@discardableResult
public func endLeftovers(
    in folder: String, stopSignal: Int32 = SIGTERM, stopWait: Duration = .seconds(10)
) async -> [String] {
    let files = ((try? Folder.names(in: folder)) ?? []).map { "\(folder)/\($0)" }
    let records = files.map { (file: $0, record: ProcessRecord(readingFrom: $0)) }
    let leftovers = records.compactMap(\.record).filter(\.isAlive)
    for (file, record) in records where record.map({ !$0.isAlive }) ?? false { unlink(file) }
    // Whom to send signals to: negative for a group.
    let targets = leftovers.map { ProcessStat(pid: $0.pid)?.group == $0.pid ? -$0.pid : $0.pid }
    targets.forEach { kill($0, stopSignal) }
    await waitUntilGone(leftovers, atMost: stopWait)
    for (leftover, target) in zip(leftovers, targets) where target < 0 || leftover.isAlive {
        // Of a group that has lost its leader something may be left; its number is not given to anybody else before.
        kill(target, SIGKILL)
    }
    await waitUntilGone(leftovers, atMost: .seconds(1))
    return leftovers.map(\.name)
}

private func waitUntilGone(_ leftovers: [ProcessRecord], atMost limit: Duration) async {
    let deadline = ContinuousClock.now + limit
    while leftovers.contains(where: \.isAlive), ContinuousClock.now < deadline {
        // Not ended by cancellation: a leftover that is forgotten here would never end.
        await Task { try? await Task.sleep(for: .milliseconds(20)) }.value
    }
}
