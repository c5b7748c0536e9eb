import Glibc
import MQTT
import Synchronization

/// The keyboard, key by key and without showing them, until `restore`. Ctrl-C stays a signal.
final class KeyInput: Sendable {
    private let original: Mutex<termios?>

    init() {
        var settings = termios()
        guard isatty(STDIN_FILENO) == 1, tcgetattr(STDIN_FILENO, &settings) == 0 else {
            original = Mutex(nil)
            return
        }
        original = Mutex(settings)
        settings.c_lflag &= ~tcflag_t(ICANON | ECHO)
        tcsetattr(STDIN_FILENO, TCSANOW, &settings)
    }

    /// Calls `take` with each key, from a thread of its own, which ends with the program or the input.
    func read(_ take: @escaping @Sendable (Character) -> Void) {
        guard original.withLock({ $0 != nil }) else { return }
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
    func restore() {
        original.withLock { original in
            if var settings = original { tcsetattr(STDIN_FILENO, TCSANOW, &settings) }
            original = nil
        }
    }
}
