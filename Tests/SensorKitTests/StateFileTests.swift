import Files
import HubModel
import SensorKit
import SimdJSON
import TestSupport
import Testing

@Suite struct StateFileTests {
    private let folder = TemporaryFolder()
    private let log = Lines()

    private func file(_ directory: String?) -> StateFile {
        StateFile(directory: directory, instance: Identifier("meter-1")!, log: log.log)
    }

    @Test func remembers() throws {
        var first = file(folder.path)
        #expect(first.load() == nil)
        first.save(["total": 1.5, "text": "a long one, so that the next is shorter"])
        first.save(["total": 2])
        #expect(file(folder.path).load() == ["total": 2])
        #expect(try File.bytes(of: "\(folder.path)/meter-1.state").count == 512)
        #expect(log.all.isEmpty)
    }

    @Test func withoutAFolderNothingIsKept() {
        var state = file(nil)
        state.save(["total": 1])
        #expect(state.load() == nil)
        #expect(log.all.isEmpty)
    }

    @Test(arguments: ["", "{\"total\": 1", "[1]", "\0\0\0\0", String(repeating: " ", count: 600)])
    func whatIsDamagedIsToldOf(content: String) throws {
        try folder.write("meter-1.state", content)
        #expect(file(folder.path).load() == nil)
        #expect(log.all.count == 1)
        #expect(log.all[0].contains("meter-1.state: what was remembered is lost, it begins anew"))
    }

    @Test func whatCannotBeWrittenIsToldOfOnce() {
        var state = file("\(folder.path)/none")
        state.save(["total": 1])
        state.save(["total": 2])
        #expect(log.all.count == 1)
        #expect(log.all[0].hasPrefix("after a restart, this will not be remembered"))
        var tooMuch = file(folder.path)
        tooMuch.save(["text": .string(String(repeating: "x", count: 512))])
        #expect(log.all.count == 2)
    }
}
