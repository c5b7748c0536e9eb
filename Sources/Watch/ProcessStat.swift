import Files

/// What the kernel tells of a process in `/proc/PID/stat` (proc(5)); field numbers are those of that page.
package struct ProcessStat: Equatable {
    package let pid: Int32
    package let isZombie: Bool
    /// Field 3, a letter.
    let state: UInt8
    let parent: Int32
    package let group: Int32
    let session: Int32
    /// Fields 14 and 15, user and system time, in clock ticks.
    let ownTicks: Int64
    /// Fields 16 and 17: of the children that it has waited for, with theirs.
    let childTicks: Int64
    /// Field 19.
    let niceness: Int64
    let threads: Int64
    /// Field 22: clock ticks since the machine's start.
    package let startTime: Int64
    /// Field 24.
    let residentPages: Int64

    /// Nil when there is no such process.
    package init?(pid: Int32) {
        guard let bytes = try? File.beginning(of: "/proc/\(pid)/stat", limit: 4_096) else { return nil }
        self.init(parsing: bytes[...])
    }

    /// Nil for a text that is none of the kernel's.
    init?(parsing bytes: ArraySlice<UInt8>) {
        // The second field is the program's name in brackets, with anything in it; none of the later ones has a bracket.
        guard let nameEnd = bytes.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        var first = ProcText(bytes)
        guard let pid = first.number().flatMap({ Int32(exactly: $0) }), pid > 0 else { return nil }
        self.pid = pid
        var text = ProcText(bytes[(nameEnd + 1)...])
        guard let state = text.word()?.first else { return nil }
        self.state = state
        isZombie = state == UInt8(ascii: "Z") || state == UInt8(ascii: "X")
        // Fields 4 to 24.
        var fields: [Int64] = []
        fields.reserveCapacity(21)
        while fields.count < 21 {
            guard let number = text.number() else { return nil }
            fields.append(number)
        }
        func field(_ number: Int) -> Int64 { fields[number - 4] }
        guard let parent = Int32(exactly: field(4)), let group = Int32(exactly: field(5)),
            let session = Int32(exactly: field(6))
        else { return nil }
        self.parent = parent
        self.group = group
        self.session = session
        ownTicks = field(14) &+ field(15)
        childTicks = field(16) &+ field(17)
        niceness = field(19)
        threads = field(20)
        startTime = field(22)
        residentPages = max(0, field(24))
    }
}
