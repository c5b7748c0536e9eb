import Glibc
import TestSupport
import Testing

@testable import SensorKit

@Suite struct BootFileTests {
    @Test func remembersTheNumbersThatWereUsed() throws {
        let folder = TemporaryFolder()
        let file = BootFile(directory: folder.path, instance: Identifier("lamp-1")!)
        #expect(try file.read() == nil)
        let boots = (1...12).map { Position(boot: 1_763_677_050 + $0, seq: 1 << 53) }
        try file.write(BootFile.Content(boots: boots, time: 1_763_677_055_123_456), isDurable: true)
        #expect(try file.read() == BootFile.Content(boots: boots.suffix(10), time: 1_763_677_055_123_456))
        // A shorter one, in place of a longer one.
        try file.write(BootFile.Content(boots: [Position(boot: 1, seq: 0)], time: 0), isDurable: false)
        #expect(try file.read() == BootFile.Content(boots: [Position(boot: 1, seq: 0)], time: 0))
        #expect(try File.bytes(of: "\(folder.path)/lamp-1.boots").count == 512)
    }

    @Test(arguments: ["nonsense", "7", #"{"boots": [[2, 1], [1, 1]], "time": 0}"#, #"{"boots": [[1]], "time": 0}"#, ""])
    func refusesABootFileThatItDidNotWrite(text: String) throws {
        let folder = TemporaryFolder()
        try folder.write("lamp-1.boots", text)
        let file = BootFile(directory: folder.path, instance: Identifier("lamp-1")!)
        #expect(throws: (any Error).self) { try file.read() }
        let nowhere = BootFile(directory: "\(folder.path)/none", instance: Identifier("lamp-1")!)
        #expect(try nowhere.read() == nil)
        #expect(throws: FileError.self) { try nowhere.write(BootFile.Content(), isDurable: false) }
    }
}
