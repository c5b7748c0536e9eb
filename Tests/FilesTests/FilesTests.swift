import Files
import Glibc
import Testing
import TestSupport

@Suite struct FilesTests {
    private let folder = TemporaryFolder()

    private func mode(_ path: String) -> mode_t {
        var status = stat()
        return lstat(path, &status) == 0 ? status.st_mode & 0o7777 : 0
    }

    @Test func aFileIsReplacedInOneStepAndIsItsOwnersOnly() throws {
        let path = "\(folder.path)/secret"
        try File.replace(path, with: "old".utf8)
        let reader = open(path, O_RDONLY)
        defer { close(reader) }
        try File.replace(path, with: "new".utf8, isDurable: true)
        #expect(try File.text(of: path) == "new")
        #expect(mode(path) == 0o600)
        // Whoever had it open still has the old one whole.
        var bytes = [UInt8](repeating: 0, count: 8)
        #expect(read(reader, &bytes, 8) == 3)
        #expect(try Folder.names(in: folder.path) == ["secret"])
    }

    @Test func aFileThatIsTooLargeIsAnErrorAndSoIsOneThatIsNotThere() throws {
        let path = "\(folder.path)/large"
        try File.replace(path, with: [UInt8](repeating: 1, count: 100))
        #expect(throws: FileError(path, EFBIG)) { try File.bytes(of: path, limit: 99) }
        #expect(try File.bytes(of: path, limit: 100).count == 100)
        #expect(try File.beginning(of: path, limit: 99).count == 99)
        #expect(try File.beginning(of: path, limit: 101).count == 100)
        do {
            _ = try File.bytes(of: "\(path)/x")
        } catch {
            #expect(error.isNotFound)
        }
        #expect(try File.text(of: "/proc/self/comm").isEmpty == false)
    }

    @Test func foldersAreMadeWithThoseAboveThem() throws {
        try Folder.make("\(folder.path)/a/b/c")
        try Folder.make("\(folder.path)/a/b/c")
        #expect(mode("\(folder.path)/a/b") == 0o700)
        try File.replace("\(folder.path)/file", with: [])
        #expect(throws: FileError("\(folder.path)/file", ENOTDIR)) { try Folder.make("\(folder.path)/file") }
    }

    @Test func removalFollowsNoLink() throws {
        try Folder.make("\(folder.path)/kept")
        try File.replace("\(folder.path)/kept/file", with: [])
        try Folder.make("\(folder.path)/gone/deep")
        symlink("\(folder.path)/kept", "\(folder.path)/gone/link")
        try Folder.remove("\(folder.path)/gone")
        try Folder.remove("\(folder.path)/gone")
        #expect(try Folder.names(in: folder.path) == ["kept"])
        #expect(File.exists("\(folder.path)/kept/file"))
    }
}
