import Glibc
import MQTT

/// The keyboard, key by key and without showing them, until `restore`. Ctrl-C stays a signal.
final class KeyInput: Sendable {
    private let mode = TerminalMode { $0.c_lflag &= ~tcflag_t(ICANON | ECHO) }

    /// Calls `take` with each key, from a thread of its own, which ends with the program or the input.
    func read(_ take: @escaping @Sendable (Character) -> Void) {
        guard mode.isChanged else { return }
        _ = startThread {
            var byte: UInt8 = 0
            while true {
                let count = Glibc.read(STDIN_FILENO, &byte, 1)
                if count == -1, errno == EINTR { continue }
                guard count == 1 else { return }
                take(Character(UnicodeScalar(byte)))
            }
        }
    }

    /// As it was.
    func restore() { mode.restore() }
}
