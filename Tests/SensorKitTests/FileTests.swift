import Glibc
import Testing

@testable import SensorKit

/// A folder that is removed with everything in it when nobody holds it any more.
final class TemporaryFolder {
    let path: String

    init() throws {
        var template = Array("/tmp/sensorkit-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw FileError("/tmp", errno) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func write(_ name: String, _ text: String) throws {
        try File.replace("\(path)/\(name)", with: text)
    }

    deinit {
        for name in File.names(in: path) { unlink("\(path)/\(name)") }
        rmdir(path)
    }
}

@Suite struct FileTests {
    @Test func readsUpToALimit() throws {
        let folder = try TemporaryFolder()
        let text = String(repeating: "0123456789", count: 1_000)
        try folder.write("a", text)
        #expect(try File.text(of: "\(folder.path)/a") == text)
        #expect(try File.text(of: "\(folder.path)/a", limit: 5_001) == String(text.prefix(5_001)))
        #expect(throws: FileError("\(folder.path)/b", ENOENT)) { try File.text(of: "\(folder.path)/b") }
        #expect(FileError("/x", ENOENT).description == "/x: No such file or directory")
    }

    @Test func listsAFolder() throws {
        let folder = try TemporaryFolder()
        for name in ["b", "a", ".hidden"] { try folder.write(name, "") }
        #expect(File.names(in: folder.path).sorted() == ["a", "b"])
        #expect(File.names(in: "\(folder.path)/none") == [])
        unlink("\(folder.path)/.hidden")
    }

    @Test func remembersTheBootNumber() throws {
        let folder = try TemporaryFolder()
        let file = BootFile(directory: folder.path, instance: Identifier("lamp-1")!)
        #expect(try file.read() == nil)
        try file.write(1_763_677_050)
        #expect(try file.read() == 1_763_677_050)
        try folder.write("lamp-1.boot", "nonsense")
        #expect(throws: ValidationError.self) { try file.read() }
        let nowhere = BootFile(directory: "\(folder.path)/none", instance: Identifier("lamp-1")!)
        #expect(try nowhere.read() == nil)
        #expect(throws: FileError.self) { try nowhere.write(1) }
    }
}
