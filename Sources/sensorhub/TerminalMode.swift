import Glibc
import Synchronization

/// Other settings for the terminal that standard input is, until `restore`.
final class TerminalMode: Sendable {
    private let original: Mutex<termios?>

    /// Where standard input is no terminal, there is nothing to change.
    init(_ change: (inout termios) -> Void) {
        var settings = termios()
        guard isatty(STDIN_FILENO) == 1, tcgetattr(STDIN_FILENO, &settings) == 0 else {
            original = Mutex(nil)
            return
        }
        original = Mutex(settings)
        change(&settings)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &settings)
    }

    var isChanged: Bool { original.withLock { $0 != nil } }

    /// As it was. May be called again.
    func restore() {
        original.withLock { original in
            if var settings = original { tcsetattr(STDIN_FILENO, TCSADRAIN, &settings) }
            original = nil
        }
    }
}
