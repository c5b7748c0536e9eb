import CArchive
import Glibc
import Testing

@testable import Archive

/// Makes archives as an enemy would.
private func archive(
    _ entries: [(path: String, type: mode_t, content: String)], zip: Bool = true, link: String? = nil
) throws -> [UInt8] {
    let writer = try #require(archive_write_new())
    defer { archive_write_free(writer) }
    if zip {
        archive_write_set_format_zip(writer)
    } else {
        archive_write_set_format_pax_restricted(writer)
        archive_write_add_filter_gzip(writer)
    }
    var bytes = [UInt8](repeating: 0, count: 4 << 20)
    var used = 0
    try bytes.withUnsafeMutableBytes { buffer in
        archive_write_open_memory(writer, buffer.baseAddress, buffer.count, &used)
        for item in entries {
            let entry = try #require(archive_entry_new())
            defer { archive_entry_free(entry) }
            archive_entry_set_pathname(entry, item.path)
            archive_entry_set_filetype(entry, UInt32(item.type))
            archive_entry_set_perm(entry, 0o6777)
            if let link {
                item.type == Glibc.S_IFLNK
                    ? archive_entry_set_symlink(entry, link) : archive_entry_set_hardlink(entry, link)
            }
            archive_entry_set_size(entry, item.type == Glibc.S_IFREG ? Int64(item.content.utf8.count) : 0)
            archive_write_header(writer, entry)
            if item.type == Glibc.S_IFREG { archive_write_data(writer, item.content, item.content.utf8.count) }
        }
        archive_write_close(writer)
    }
    return Array(bytes[..<used])
}

private let file = Glibc.S_IFREG

@Suite struct ArchiveTests {
    private func withFolder(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/archive-XXXXXX".utf8CString)
        let folder = String(cString: try #require(mkdtemp(&template)))
        defer { system("rm -rf '\(folder)'") }
        try body(folder)
    }

    @Test(arguments: [true, false])
    func filesAreReadAndUnpacked(zip: Bool) throws {
        let bytes = try archive(
            [("./a.py", file, "print(1)"), ("lib", Glibc.S_IFDIR, ""), ("lib/b.py", file, "")], zip: zip)
        let content = try Archive(bytes).read(keeping: ["a.py"])
        #expect(content.paths == ["a.py", "lib/b.py"])
        #expect(content.contents == ["a.py": Array("print(1)".utf8)])
        try withFolder { folder in
            try Archive(bytes).unpack(into: folder)
            var status = stat()
            #expect(stat("\(folder)/a.py", &status) == 0)
            // No right for others to write, and no set-user-id.
            #expect(status.st_mode & 0o7777 == 0o755)
            #expect(access("\(folder)/lib/b.py", F_OK) == 0)
        }
    }

    @Test(arguments: ["../x", "/etc/x", "a/../../x", "a\\..\\x"])
    func pathsThatLeadOutAreRefused(_ path: String) throws {
        let bytes = try archive([("ok", file, "1"), (path, file, "1")], zip: false)
        #expect(throws: ArchiveError("'\(path)' leads out of the archive")) { try Archive(bytes).read() }
        try withFolder { folder in
            #expect(throws: ArchiveError.self) { try Archive(bytes).unpack(into: folder) }
            #expect(access("\(folder)/../x", F_OK) != 0)
        }
    }

    @Test(arguments: [Glibc.S_IFLNK, Glibc.S_IFIFO, Glibc.S_IFCHR])
    func onlyFilesAndFoldersAreTaken(_ type: mode_t) throws {
        let link: String? = type == Glibc.S_IFLNK ? "/etc/passwd" : nil
        let bytes = try archive([("x", type, "")], zip: false, link: link)
        #expect(throws: ArchiveError("'x' is neither a file nor a folder: links and devices are not taken")) {
            try Archive(bytes).read()
        }
    }

    @Test func hardLinksAreRefused() throws {
        let bytes = try archive([("x", file, "")], zip: false, link: "/etc/passwd")
        #expect(throws: ArchiveError.self) { try Archive(bytes).read() }
    }

    @Test func aBombIsRefusedBeforeItGoesOff() throws {
        let bytes = try archive([("zeros", file, String(repeating: "0", count: 3 << 20))])
        #expect(bytes.count < 64 << 10)
        #expect(throws: ArchiveError("unpacks to more than 1 MiB")) {
            try Archive(bytes, limits: .init(unpackedBytes: 1 << 20)).read()
        }
        #expect(throws: ArchiveError("more than 1 entries")) {
            try Archive(archive([("a", file, ""), ("b", file, "")]), limits: .init(entries: 1)).read()
        }
    }

    @Test(arguments: [[], Array("no archive".utf8), [0x50, 0x4B, 3, 4], [0x1F, 0x8B, 8]] as [[UInt8]])
    func whatIsNoArchiveIsRefused(_ bytes: [UInt8]) {
        #expect(throws: ArchiveError.self) { try Archive(bytes).read() }
    }

    @Test func theSameFolderMakesTheSameArchive() throws {
        try withFolder { folder in
            system(
                "mkdir \(folder)/app && cd \(folder)/app && echo 1 > a.py && mkdir lib .git && echo 2 > lib/b.py && echo 3 > .git/x"
            )
            let first = try AppArchive.make(from: "\(folder)/app")
            system("touch \(folder)/app/a.py")
            #expect(try AppArchive.make(from: "\(folder)/app") == first)
            #expect(try Archive(first).read().paths == ["a.py", "lib/b.py"])
            #expect(throws: ArchiveError.self) { try AppArchive.make(from: "\(folder)/nothing") }
        }
    }
}
