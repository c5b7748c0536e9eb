import CArchive
import Files
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

    /// The paths of all regular files, links not followed.
    private static func files(in folder: String, prefix: String) throws(ArchiveError) -> [String] {
        var paths: [String] = []
        for name in try names(in: folder) where !name.hasPrefix(".") && name != "__pycache__" {
            var status = stat()
            guard lstat("\(folder)/\(name)", &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                paths += try files(in: "\(folder)/\(name)", prefix: "\(prefix)\(name)/")
            } else if status.st_mode & S_IFMT == Glibc.S_IFREG {
                paths.append("\(prefix)\(name)")
            }
        }
        return paths
    }

    private static func names(in folder: String) throws(ArchiveError) -> [String] {
        do { return try Folder.names(in: folder) } catch { throw ArchiveError("\(error)") }
    }

    private static func read(_ path: String) throws(ArchiveError) -> [UInt8] {
        do { return try File.bytes(of: path, limit: 256 << 20) } catch { throw ArchiveError("\(error)") }
    }
}
