import Files
import Glibc
import HubModel
import TestSupport
import Testing
import Watch

@testable import Agent

private func output(_ lines: String...) -> [OutputLine] {
    lines.map { OutputLine(time: 0, stream: .stderr, text: $0) }
}

@Test func pipsReasonIsItsLastError() {
    #expect(
        PreparationCommand.reason(
            output(
                "WARNING: Retrying", "ERROR: Could not find a version that satisfies the requirement x==1",
                "ERROR: No matching distribution found for x==1", "[notice] A new release of pip is available"))
            == "No matching distribution found for x==1")
    #expect(
        PreparationCommand.reason(output("Not there:", "", "  install python3-venv "))
            == "Not there: install python3-venv")
    #expect(PreparationCommand.reason([]) == nil)
}

@Test func passwordsAreKept() async throws {
    let folder = TemporaryFolder()
    let secrets = Secrets(folder: folder.path)
    let program = ProgramID(.driver, Identifier("lux-1")!)
    let credential = try secrets.credential(of: program)
    #expect(credential.fits(credential.hash))
    #expect(!credential.fits(nil))
    #expect(!credential.fits("$7$1000000$AAAAAAAAAAAAAAAA$" + credential.hash.suffix(88)))
    let again = try secrets.credential(of: program)
    #expect(again.password == credential.password)
    #expect(again.fits(credential.hash))
    var information = stat()
    #expect(stat("\(folder.path)/\(program)", &information) == 0)
    #expect(information.st_mode & 0o777 == 0o600)
    // Damaged: a new one.
    try File.replace("\(folder.path)/\(program)", with: "short".utf8)
    #expect(try secrets.credential(of: program).password.utf8.count == 32)
    secrets.remove(program)
    #expect(access("\(folder.path)/\(program)", F_OK) != 0)
}

@Test func theLibrarysDigestFollowsItsFiles() async throws {
    let folder = TemporaryFolder()
    func digest() throws -> String { try PlatformLibrary(folder: folder.path).digest }
    #expect(throws: PreparationError.self) { try digest() }
    try File.replace("\(folder.path)/pyproject.toml", with: "[project]".utf8)
    try Folder.make("\(folder.path)/src/sensorhub/__pycache__")
    try File.replace("\(folder.path)/src/sensorhub/__init__.py", with: "x = 1".utf8)
    let first = try digest()
    // What Python, pip and editors leave does not count.
    try File.replace("\(folder.path)/src/sensorhub/__pycache__/x.pyc", with: "x".utf8)
    try File.replace("\(folder.path)/src/.hidden", with: "x".utf8)
    #expect(try digest() == first)
    try File.replace("\(folder.path)/src/sensorhub/__init__.py", with: "x = 2".utf8)
    #expect(try digest() != first)
    let copied = try PlatformLibrary(folder: folder.path)
    try copied.copy(to: "\(folder.path)/.copy")
    #expect(try PlatformLibrary(folder: "\(folder.path)/.copy").digest == copied.digest)
}

@Test func aJournalThatIsBegunLaterHasAGreaterOrigin() async throws {
    let folder = TemporaryFolder()
    let folders = AgentFolders(root: folder.path)
    let first = folders.newJournalOrigin, second = folders.newJournalOrigin
    #expect(second > first)
    // The clock was far ahead, once.
    try File.replace("\(folder.path)/journal-origin", with: "\(first + 1_000_000_000_000)".utf8)
    #expect(folders.newJournalOrigin == first + 1_000_000_000_001)
    try File.replace("\(folder.path)/journal-origin", with: "nonsense".utf8)
    #expect(folders.newJournalOrigin > second)
}

@Test func oneAgentForAFolder() async throws {
    let folder = TemporaryFolder()
    let folders = AgentFolders(root: "\(folder.path)/data")
    let lock = try folders.prepare()
    #expect(throws: AgentError.self) { try folders.prepare() }
    folders.release(lock)
    folders.release(try folders.prepare())
    var information = stat()
    for path in ["", "/secrets", "/programs", "/apps"] {
        #expect(stat("\(folder.path)/data\(path)", &information) == 0)
        #expect(information.st_mode & 0o777 == 0o700)
    }
}

@Test func whatIsUnusedForLongIsRemoved() async throws {
    let folder = TemporaryFolder()
    for name in ["used", "unused"] {
        try Folder.make("\(folder.path)/\(name)/sub")
        try File.replace("\(folder.path)/\(name)/sub/file", with: "x".utf8)
    }
    removeUnused(in: folder.path, except: ["used"], olderThan: 60)
    #expect(try Folder.names(in: folder.path) == ["unused", "used"])
    removeUnused(in: folder.path, except: ["used"], olderThan: 0)
    #expect(try Folder.names(in: folder.path) == ["used"])
}
