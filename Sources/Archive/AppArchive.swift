import CArchive
import Glibc

/// Makes the archive of an app from its folder.
public enum AppArchive {
    /// A zip of all regular files below `folder`, hidden ones left out, in the order of their names.
    ///
    /// - Throws: `ArchiveError` for a folder that cannot be read.
    public static func make(from folder: String) throws(ArchiveError) -> [UInt8] {
        let paths = try files(in: folder, prefix: "")
        guard let archive = archive_write_new() else { throw ArchiveError("out of memory") }
        let collected = Collected()
        // What is not closed yet is closed by this, and so still written.
        defer { withExtendedLifetime(collected) { _ = archive_write_free(archive) } }
        archive_write_set_format_zip(archive)
        let context = Unmanaged.passUnretained(collected).toOpaque()
        let code = archive_write_open(
            archive, context, nil,
            { _, context, bytes, count in
                let collected = Unmanaged<Collected>.fromOpaque(context!).takeUnretainedValue()
                collected.bytes.append(contentsOf: UnsafeRawBufferPointer(start: bytes, count: count))
                return count
            }, nil)
        guard code == ARCHIVE_OK else { throw ArchiveError("the archive cannot be written") }
        for path in paths {
            let content = try read("\(folder)/\(path)")
            let entry = archive_entry_new()
            defer { archive_entry_free(entry) }
            var status = stat()
            stat("\(folder)/\(path)", &status)
            archive_entry_set_pathname(entry, path)
            archive_entry_set_size(entry, Int64(content.count))
            archive_entry_set_filetype(entry, UInt32(Glibc.S_IFREG))
            archive_entry_set_perm(entry, status.st_mode & 0o100 != 0 ? 0o755 : 0o644)
            // One time for all files: the same content makes the same archive, and so the same version.
            archive_entry_set_mtime(entry, 315_532_800, 0)
            guard archive_write_header(archive, entry) == ARCHIVE_OK,
                content.withUnsafeBytes({ archive_write_data(archive, $0.baseAddress, $0.count) }) == content.count
            else { throw ArchiveError("'\(path)' cannot be packed") }
        }
        guard archive_write_close(archive) == ARCHIVE_OK else { throw ArchiveError("the archive cannot be written") }
        return collected.bytes
    }

    private final class Collected {
        var bytes: [UInt8] = []
    }

    private static func files(in folder: String, prefix: String) throws(ArchiveError) -> [String] {
        guard let directory = opendir(folder) else {
            throw ArchiveError("'\(folder)': \(String(cString: strerror(errno)))")
        }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix("."), name != "__pycache__" { names.append(name) }
        }
        var paths: [String] = []
        for name in names.sorted() {
            var status = stat()
            guard lstat("\(folder)/\(name)", &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                paths += try files(in: "\(folder)/\(name)", prefix: "\(prefix)\(name)/")
            } else if status.st_mode & S_IFMT == S_IFREG {
                paths.append("\(prefix)\(name)")
            }
        }
        return paths
    }

    private static func read(_ path: String) throws(ArchiveError) -> [UInt8] {
        guard let file = fopen(path, "re") else { throw ArchiveError("'\(path)': \(String(cString: strerror(errno)))") }
        defer { fclose(file) }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 {
            content.append(contentsOf: chunk[..<count])
        }
        return content
    }
}
