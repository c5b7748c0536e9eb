import Glibc

/// The code of this process in memory.
enum ProgramText {
    /// Lets go of the code that has been used so far. Starting uses much code that running does not, and the kernel maps
    /// 64 KiB around each page of it. What is used again comes back from the kernel's cache of the file, at the cost of
    /// a page fault.
    static func release() {
        guard let maps = try? File.text(of: "/proc/self/maps", limit: 1 << 18) else { return }
        for (start, size) in mappings(in: maps) {
            madvise(UnsafeMutableRawPointer(bitPattern: start), size, MADV_DONTNEED)
        }
    }

    /// The mappings of code from files: lines as `55e8a000-55e9c000 r-xp 0001a000 08:01 1234  /usr/bin/x`
    /// (proc_pid_maps(5)). They are never written to, so their content can be had from the file again; that of others
    /// cannot.
    static func mappings(in maps: String) -> [(start: UInt, size: Int)] {
        maps.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ", maxSplits: 5)
            guard words.count == 6, words[1] == "r-xp", words[5].contains("/") else { return nil }
            let bounds = words[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard bounds.count == 2, bounds[0] < bounds[1] else { return nil }
            return (bounds[0], Int(bounds[1] - bounds[0]))
        }
    }
}
