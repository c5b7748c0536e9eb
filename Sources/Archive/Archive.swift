import CArchive
import Glibc
import HubModel

/// An archive that cannot be taken, with the reason.
public struct ArchiveError: Error, Hashable, CustomStringConvertible {
    public let reason: String
    public var description: String { reason }

    init(_ reason: String) {
        self.reason = reason
    }
}

/// A zip or tar archive in memory, possibly made by an enemy: every entry is checked before anything is done with it.
public struct Archive {
    /// What an archive may hold.
    public struct Limits: Sendable {
        public var entries = 10_000
        public var unpackedBytes = 256 << 20

        public static let app = Limits()
    }

    private let bytes: [UInt8]
    private let limits: Limits

    public init(_ bytes: [UInt8], limits: Limits = .app) {
        self.bytes = bytes
        self.limits = limits
    }

    /// Reads the whole archive without writing anything.
    ///
    /// - Parameter keep: which files' contents to return.
    /// - Returns: the paths of all regular files, and the contents of those asked for.
    /// - Throws: `ArchiveError` for what is no archive, for anything but files and folders, for a path that leads out of
    ///   the archive, and beyond the limits.
    public func read(keeping keep: Set<String> = []) throws(ArchiveError) -> (
        paths: [String], contents: [String: [UInt8]]
    ) {
        var paths: [String] = []
        var contents: [String: [UInt8]] = [:]
        try forEachEntry { (entry, path, isFolder, read) throws(ArchiveError) in
            guard !isFolder else { return }
            paths.append(path)
            var content: [UInt8] = []
            try read { (chunk) throws(ArchiveError) in
                if keep.contains(path) { content.append(contentsOf: chunk) }
            }
            if keep.contains(path) { contents[path] = content }
        }
        return (paths, contents)
    }

    /// Writes the archive's files below `folder`, which must exist. libarchive's own guards against paths and links that
    /// lead out of it are on as well.
    public func unpack(into folder: String) throws(ArchiveError) {
        guard let disk = archive_write_disk_new() else { throw ArchiveError("out of memory") }
        defer { archive_write_free(disk) }
        archive_write_disk_set_options(
            disk,
            ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_SECURE_NODOTDOT | ARCHIVE_EXTRACT_UNLINK
                | ARCHIVE_EXTRACT_TIME)
        try forEachEntry { (entry, path, isFolder, read) throws(ArchiveError) in
            // The check on absolute paths is ours alone from here on: the folder itself is one.
            archive_entry_set_pathname(entry, "\(folder)/\(path)")
            // Owner's rights only, and no special bits.
            archive_entry_set_perm(entry, isFolder || archive_entry_perm(entry) & 0o100 != 0 ? 0o755 : 0o644)
            guard archive_write_header(disk, entry) == ARCHIVE_OK else { throw Self.error(disk, path) }
            try read { (chunk) throws(ArchiveError) in
                var rest = chunk[...]
                while !rest.isEmpty {
                    let written = rest.withUnsafeBytes { archive_write_data(disk, $0.baseAddress, $0.count) }
                    guard written > 0 else { throw Self.error(disk, path) }
                    rest = rest.dropFirst(written)
                }
            }
            guard archive_write_finish_entry(disk) == ARCHIVE_OK else { throw Self.error(disk, path) }
        }
        guard archive_write_close(disk) == ARCHIVE_OK else { throw Self.error(disk, folder) }
    }

    private typealias Sink = ([UInt8]) throws(ArchiveError) -> Void

    private func forEachEntry(
        _ body: (OpaquePointer, String, Bool, (Sink) throws(ArchiveError) -> Void) throws(ArchiveError) -> Void
    ) throws(ArchiveError) {
        guard let archive = archive_read_new() else { throw ArchiveError("out of memory") }
        defer { archive_read_free(archive) }
        // By the directory at its end, so that a zip that was cut off is none.
        archive_read_support_format_zip_seekable(archive)
        archive_read_support_format_tar(archive)
        archive_read_support_filter_gzip(archive)
        // libarchive reads from the buffer as long as the archive is open.
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(bytes.count, 1), alignment: 1)
        defer { buffer.deallocate() }
        buffer.copyBytes(from: bytes)
        guard archive_read_open_memory(archive, buffer.baseAddress, bytes.count) == ARCHIVE_OK else {
            throw ArchiveError("neither a zip nor a tar.gz archive")
        }
        var entries = 0
        var total = 0
        var isFirst = true
        while true {
            var next: OpaquePointer?
            let code = archive_read_next_header(archive, &next)
            if code == ARCHIVE_EOF, !isFirst { return }
            guard code == ARCHIVE_OK || code == ARCHIVE_WARN, let entry = next else {
                throw isFirst ? ArchiveError("neither a zip nor a tar.gz archive") : Self.error(archive, "the archive")
            }
            isFirst = false
            entries += 1
            guard entries <= limits.entries else { throw ArchiveError("more than \(limits.entries) entries") }
            let path = try Self.path(of: entry)
            let type = archive_entry_filetype(entry)
            let isFolder = type == S_IFDIR
            guard isFolder || type == S_IFREG, archive_entry_hardlink(entry) == nil else {
                throw ArchiveError("'\(path)' is neither a file nor a folder: links and devices are not taken")
            }
            if path.isEmpty { continue }
            try body(entry, path, isFolder) { (sink) throws(ArchiveError) in
                try readContent(of: archive, path, total: &total, sink)
            }
        }
    }

    private func readContent(
        of archive: OpaquePointer, _ path: String, total: inout Int, _ sink: Sink
    ) throws(ArchiveError) {
        while true {
            var chunk = [UInt8](repeating: 0, count: 64 << 10)
            let count = chunk.withUnsafeMutableBytes { archive_read_data(archive, $0.baseAddress, $0.count) }
            guard count >= 0 else { throw Self.error(archive, path) }
            guard count > 0 else { return }
            total += count
            guard total <= limits.unpackedBytes else {
                throw ArchiveError("unpacks to more than \(limits.unpackedBytes >> 20) MiB")
            }
            chunk.removeSubrange(count...)
            try sink(chunk)
        }
    }

    /// The entry's path without `./` and closing `/`; empty for the archive's own root folder.
    private static func path(of entry: OpaquePointer) throws(ArchiveError) -> String {
        guard let raw = archive_entry_pathname_utf8(entry) ?? archive_entry_pathname(entry) else {
            throw ArchiveError("an entry has no name in UTF-8")
        }
        let written = String(cString: raw)
        guard ArchivePath.isSafe(written) else {
            throw ArchiveError("'\(written.prefix(80))' leads out of the archive")
        }
        return written.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    }

    private static func error(_ archive: OpaquePointer, _ what: String) -> ArchiveError {
        let reason = archive_error_string(archive).map { String(cString: $0) } ?? "unreadable"
        return ArchiveError("'\(what)': \(reason)")
    }
}
