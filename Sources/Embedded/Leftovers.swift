import Glibc
import Watch
import WatchInProcess

/// What a crash of an earlier `sensorhub up` has left running in a data folder.
enum Leftovers {
    /// Ends it in the order in which it would have been stopped.
    ///
    /// - Returns: the names of the programs that were still there.
    static func end(in data: DataDirectory) async -> [String] {
        var ended: [String] = []
        for part in Part.stopOrder {
            ended += await endLeftovers(
                in: data.records(of: part), stopSignal: part.stopSignal, stopWait: part.stopWait)
        }
        ended += await endUnrecorded(in: data)
        removeStaleLocks(data)
        return ended
    }

    /// Ends a server whose record was lost, and waits for backends that have outlived their server: two at work on the
    /// same files would destroy them.
    ///
    /// - Returns: the names of the programs that were still there.
    @discardableResult
    static func endUnrecorded(in data: DataDirectory) async -> [String] {
        await endUnrecorded("mosquitto", workingIn: data.broker)
            + endUnrecorded("postgres", workingIn: data.postgres)
            + endUnrecorded("postgres", workingIn: "\(data.postgres).unfinished")
    }

    private static func endUnrecorded(_ program: String, workingIn folder: String) async -> [String] {
        // /proc knows no symbolic links.
        let folder = realPath(folder) ?? folder
        func alive() -> [pid_t] {
            names(in: "/proc").compactMap { pid_t($0) }.filter { pid in
                linkTarget("/proc/\(pid)/cwd") == folder
                    && linkTarget("/proc/\(pid)/exe")?.hasSuffix("/\(program)") ?? false
            }
        }
        guard !alive().isEmpty else { return [] }
        let deadline = ContinuousClock.now + .seconds(60)
        // A backend ends by itself when it sees that its server is gone; a server has to be asked. SIGINT is a fast stop
        // for PostgreSQL's server and the same as SIGTERM for mosquitto.
        for pid in alive() { kill(pid, SIGINT) }
        while !alive().isEmpty, ContinuousClock.now < deadline {
            await Task { try? await Task.sleep(for: .milliseconds(20)) }.value
        }
        for pid in alive() { kill(pid, SIGKILL) }
        return [program]
    }

    /// PostgreSQL refuses to start where the process that its pid file names is there, even if by now the number is a
    /// stranger's. Nobody works in the folder any more when this is called.
    private static func removeStaleLocks(_ data: DataDirectory) {
        unlink("\(data.postgres)/postmaster.pid")
        unlink("\(data.sockets)/.s.PGSQL.5432.lock")
        // The hub would send its SIGHUP to that stranger.
        unlink("\(data.broker)/mosquitto.pid")
    }
}
