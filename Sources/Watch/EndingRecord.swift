import Files
import Glibc
import HubModel
package import SimdJSON

/// How a process ended whose watch was gone, for the next watch; written by the keeper.
struct EndingRecord: Equatable {
    let pid: Int32
    let run: Int64
    /// As wait(2) tells it.
    let status: Int32
    /// The path of its control group, which may be gone; nil where it is not known.
    let group: String?

    init(pid: Int32, run: Int64, status: Int32, group: String?) {
        self.pid = pid
        self.run = run
        self.status = status
        self.group = group
    }

    func write(to path: String) throws(FileError) {
        let json: JSON = [
            "pid": .int(Int64(pid)), "run": .int(run), "status": .int(Int64(status)),
            "group": group.map { .string($0) } ?? .null,
        ]
        try File.replace(path, with: json.bytes())
    }

    /// Nil where there is none.
    init?(readingFrom path: String) {
        guard let bytes = try? File.bytes(of: path, limit: 16_384), let json = try? JSON(parsing: bytes),
            let pid = json["pid"]?.int, let run = json["run"]?.int, let status = json["status"]?.int
        else { return nil }
        self.init(
            pid: Int32(clamping: pid), run: run, status: Int32(clamping: status), group: json["group"]?.string)
    }
}

/// What is known of the end of a process.
struct ProcessEnding {
    let ending: ProgramEnding
    /// The path of its control group; nil where it is not known.
    var group: String?

    static func unknown(_ reason: String) -> ProcessEnding { ProcessEnding(ending: .unknown(reason)) }
}

extension ProgramEnding {
    /// - Parameter waitStatus: as wait(2) tells it.
    init(waitStatus: Int32) {
        let signal = waitStatus & 0x7F
        self = signal == 0 ? .exited((waitStatus >> 8) & 0xFF) : .signaled(signal)
    }

    /// What a wrapping says of the program in it: an exit code of 128 and a signal's number stands for that signal, as in a
    /// shell.
    var ofWrapped: ProgramEnding {
        if case .exited(let code) = self, (129...192).contains(code) { .signaled(code - 128) } else { self }
    }
}
