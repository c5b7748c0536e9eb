import Glibc
import UnixSignals

/// Those of `signals` that are not ignored, as SIGHUP is under nohup: they stay so.
func notIgnored(_ signals: [UnixSignal]) -> [UnixSignal] {
    signals.filter { signal in
        var action = sigaction()
        sigaction(signal.rawValue, nil, &action)
        return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) != 1
    }
}
