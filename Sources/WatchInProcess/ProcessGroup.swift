import Glibc
import Synchronization

/// The process group of a program that we have started, as long as its leader has not been reaped: no signal can reach
/// a stranger that got the number afterwards.
final class ProcessGroup: Sendable {
    private let leader: Mutex<Int32?>

    init(leader: Int32) {
        self.leader = Mutex(leader)
    }

    func signal(_ signal: Int32) {
        leader.withLock { leader in
            if let leader { _ = kill(-leader, signal) }
        }
    }

    /// True once the leader is a zombie, or is not ours any more.
    var hasEnded: Bool {
        leader.withLock { leader in
            guard let leader else { return true }
            var info = siginfo_t()
            // WNOWAIT leaves the zombie: whoever waits for the process must still find it.
            guard waitid(P_PID, id_t(leader), &info, WEXITED | WNOHANG | WNOWAIT) == 0 else { return errno == ECHILD }
            return info._sifields._sigchld.si_pid != 0
        }
    }

    /// Kills what is left of the group, after which no signal is sent any more. To be called once the leader has ended,
    /// before it is reaped.
    func close() {
        leader.withLock { leader in
            if let leader { _ = kill(-leader, SIGKILL) }
            leader = nil
        }
    }
}
