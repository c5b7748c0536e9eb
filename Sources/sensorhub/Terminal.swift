import Embedded
import Glibc
import Synchronization

/// The terminal, or file, that `sensorhub up` was started on: lines from several threads, and below them a picture that
/// is drawn again and again in its place.
final class Terminal: Sendable {
    /// Where there is none, pictures are not drawn.
    let isInteractive = isatty(STDOUT_FILENO) == 1
    private let picture = Mutex<[String]>([])

    /// A line to stay.
    func show(_ line: String) {
        picture.withLock { picture in
            write(erasing(picture) + line + "\n" + picture.map { $0 + "\n" }.joined())
        }
    }

    /// Replaces the picture.
    func draw(_ lines: [String]) {
        guard isInteractive else { return }
        let size = size
        // A line that is wrapped, or a picture higher than the screen, could not be erased again.
        let lines = lines.prefix(size.height - 1).map { String($0.prefix(size.width - 1)) }
        picture.withLock { picture in
            write(erasing(picture) + lines.map { $0 + "\n" }.joined())
            picture = lines
        }
    }

    var console: Console {
        Console { [self] line, isWarning in show(isWarning ? "! \(line)" : line) }
    }

    private func erasing(_ picture: [String]) -> String {
        picture.isEmpty ? "" : "\u{1B}[\(picture.count)A\u{1B}[J"
    }

    private var size: (height: Int, width: Int) {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_row > 1, size.ws_col > 1 else {
            return (24, 80)
        }
        return (Int(size.ws_row), Int(size.ws_col))
    }

    /// Unbuffered, so that a file that the output goes to is always up to date.
    private func write(_ text: String) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            // Nobody reads any more: the hub runs on all the same.
            guard count > 0 || errno == EINTR else { return }
            bytes = bytes.dropFirst(max(0, count))
        }
    }
}
