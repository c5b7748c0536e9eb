import Glibc
import MQTT

/// SIGTERM and SIGINT as something that can be waited for with `poll`.
public enum StopSignals {
    private static let wakeUp = WakeUp()

    /// Takes the signals from their default, which would end the process on the spot; a closed standard output no
    /// longer ends it either.
    ///
    /// - Returns: a descriptor that is readable once one of the signals has come; it stays with the process.
    public static func take() -> Int32 {
        descriptorOfStop = wakeUp.descriptor
        signal(SIGPIPE, SIG_IGN)
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { _ in
            let code = errno
            var one: UInt64 = 1
            _ = write(descriptorOfStop, &one, 8)
            errno = code
        }
        // A driver's system call goes on after the signal.
        action.sa_flags = SA_RESTART
        sigaction(SIGTERM, &action, nil)
        sigaction(SIGINT, &action, nil)
        return wakeUp.descriptor
    }
}

/// For the signal handler, which can know globals only. Written before the handler is in place.
private nonisolated(unsafe) var descriptorOfStop: Int32 = -1
