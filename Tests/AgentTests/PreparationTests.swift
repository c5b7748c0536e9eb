import Glibc
import HubModel
import Testing
import Watch

@testable import Agent

private func output(_ lines: String...) -> [OutputLine] {
    lines.map { OutputLine(time: 0, stream: .stderr, text: $0) }
}

@Test func pipsReasonIsItsLastError() {
    #expect(
        PythonCommand.reason(
            output(
                "WARNING: Retrying", "ERROR: Could not find a version that satisfies the requirement x==1",
                "ERROR: No matching distribution found for x==1", "[notice] A new release of pip is available"))
            == "No matching distribution found for x==1")
    #expect(PythonCommand.reason(output("Not there:", "", "  install python3-venv ")) == "Not there: install python3-venv")
    #expect(PythonCommand.reason([]) == nil)
}

@Test func passwordsAreKept() async throws {
    try await withTemporaryFolder { folder in
        let secrets = Secrets(folder: folder)
        let program = ProgramID(.driver, Identifier("lux-1")!)
        let credential = try secrets.credential(of: program)
        #expect(credential.fits(credential.hash))
        #expect(!credential.fits(nil))
        #expect(!credential.fits("$7$1000000$AAAAAAAAAAAAAAAA$" + credential.hash.suffix(88)))
        let again = try secrets.credential(of: program)
        #expect(again.password == credential.password)
        #expect(again.fits(credential.hash))
        var information = stat()
        #expect(stat("\(folder)/\(program)", &information) == 0)
        #expect(information.st_mode & 0o777 == 0o600)
        // Damaged: a new one.
        try PrivateFile.write("short".utf8, to: "\(folder)/\(program)")
        #expect(try secrets.credential(of: program).password.utf8.count == 32)
        secrets.remove(program)
        #expect(access("\(folder)/\(program)", F_OK) != 0)
    }
}

@Test func theLibrarysDigestFollowsItsFiles() async throws {
    try await withTemporaryFolder { folder in
        func digest() throws -> String { try PlatformLibrary(folder: folder).digest }
        #expect(throws: PreparationError.self) { try digest() }
        try PrivateFile.write("[project]".utf8, to: "\(folder)/pyproject.toml")
        try Folder.make("\(folder)/src/sensorhub/__pycache__")
        try PrivateFile.write("x = 1".utf8, to: "\(folder)/src/sensorhub/__init__.py")
        let first = try digest()
        // What Python, pip and editors leave does not count.
        try PrivateFile.write("x".utf8, to: "\(folder)/src/sensorhub/__pycache__/x.pyc")
        try PrivateFile.write("x".utf8, to: "\(folder)/src/.hidden")
        #expect(try digest() == first)
        try PrivateFile.write("x = 2".utf8, to: "\(folder)/src/sensorhub/__init__.py")
        #expect(try digest() != first)
        let copied = try PlatformLibrary(folder: folder)
        try copied.copy(to: "\(folder)/.copy")
        #expect(try PlatformLibrary(folder: "\(folder)/.copy").digest == copied.digest)
    }
}

@Test func runsAreCountedOnDisk() async throws {
    try await withTemporaryFolder { folder in
        let folders = AgentFolders(root: folder)
        let program = ProgramID(.driver, Identifier("lux-1")!)
        try Folder.make(folders.program(program))
        #expect(RunCounter(program: program, folders: folders).last == 0)
        RunCounter(program: program, folders: folders).keep(41)
        #expect(RunCounter(program: program, folders: folders).last == 41)
        try PrivateFile.write("nonsense".utf8, to: "\(folders.program(program))/run")
        #expect(RunCounter(program: program, folders: folders).last == 0)
    }
}

@Test func oneAgentForAFolder() async throws {
    try await withTemporaryFolder { folder in
        let folders = AgentFolders(root: "\(folder)/data")
        let lock = try folders.prepare()
        #expect(throws: AgentError.self) { try folders.prepare() }
        close(lock)
        close(try folders.prepare())
        var information = stat()
        for path in ["", "/secrets", "/programs", "/apps"] {
            #expect(stat("\(folder)/data\(path)", &information) == 0)
            #expect(information.st_mode & 0o777 == 0o700)
        }
    }
}

@Test func whatIsUnusedForLongIsRemoved() async throws {
    try await withTemporaryFolder { folder in
        for name in ["used", "unused"] {
            try Folder.make("\(folder)/\(name)/sub")
            try PrivateFile.write("x".utf8, to: "\(folder)/\(name)/sub/file")
        }
        removeUnused(in: folder, except: ["used"], olderThan: 60)
        #expect(try Folder.names(in: folder) == ["unused", "used"])
        removeUnused(in: folder, except: ["used"], olderThan: 0)
        #expect(try Folder.names(in: folder) == ["used"])
    }
}
