import Glibc

/// Ends what an earlier supervisor, which was killed, has left running, by the record files that `WatchedProgram` keeps in
/// a folder, and removes the files. A process is touched only where its number and its start time are those of the
/// record. Not to be called while another supervisor uses the folder.
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
    let records = files.compactMap { ProcessRecord(readingFrom: $0) }
    let leftovers = records.filter(\.isAlive)
    leftovers.forEach { signal($0, stopSignal) }

    let deadline = ContinuousClock.now + stopWait
    while leftovers.contains(where: \.isAlive), ContinuousClock.now < deadline {
        // Not ended by cancellation: a leftover that is forgotten here would never end.
        await Task { try? await Task.sleep(for: .milliseconds(20)) }.value
    }
    leftovers.filter(\.isAlive).forEach { signal($0, SIGKILL) }
    // The second kind is a record whose writer was killed.
    for file in files where ProcessRecord(readingFrom: file) != nil || file.hasSuffix(".new") { unlink(file) }
    return leftovers.map(\.name)
}

private func signal(_ record: ProcessRecord, _ signal: Int32) {
    guard record.isAlive else { return }
    let isLeader = ProcessStatus(pid: record.pid)?.group == record.pid
    kill(isLeader ? -record.pid : record.pid, signal)
}
