import Files
import Glibc

extension ProgramProcess {
    /// False while a wrapping is still being made: it ignores all signals, and its program does not begin before.
    ///
    /// - Parameter wrappers: how many processes there are above the program's own, see `ProgramSpecification`.
    func hears(_ signal: Int32, wrappers: Int) -> Bool {
        guard wrappers > 0, signal != SIGKILL, signal != SIGSTOP else { return true }
        var own = pid
        for _ in 0..<wrappers {
            // Without the file, which is the kernel's to offer, nobody can tell.
            guard let children = try? File.beginning(of: "/proc/\(own)/task/\(own)/children", limit: 4_096) else {
                return true
            }
            var text = ProcText(children[...])
            guard let child = text.number().flatMap({ Int32(exactly: $0) }) else { return false }
            own = child
        }
        guard let status = try? File.beginning(of: "/proc/\(own)/status", limit: 4_096) else { return true }
        return !ProcText.ignoredSignals(in: status[...]).contains(signal)
    }
}

/// A set of signals as the kernel writes it: the lowest bit is signal 1.
struct SignalSet {
    let bits: UInt64

    func contains(_ signal: Int32) -> Bool { (1...64).contains(signal) && bits >> UInt64(signal - 1) & 1 == 1 }
}

extension ProcText {
    /// Those of the line `SigIgn` of `/proc/…/status`, none where there is no such line.
    static func ignoredSignals(in status: ArraySlice<UInt8>) -> SignalSet {
        for line in status.split(separator: 0x0A) {
            var text = ProcText(line)
            guard text.word()?.elementsEqual("SigIgn:".utf8) == true else { continue }
            return SignalSet(bits: text.word().flatMap { UInt64(String(decoding: $0, as: UTF8.self), radix: 16) } ?? 0)
        }
        return SignalSet(bits: 0)
    }
}
