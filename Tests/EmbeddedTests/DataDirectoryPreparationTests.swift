import Glibc
import HubModel
import TestSupport
import Testing

@testable import Embedded

private let runner = Account.current()!

@Test func aFolderOfSomebodyElsesThingsIsLeftAlone() throws {
    let folder = TemporaryFolder()
    try folder.write("thesis.txt", "")
    let error = #expect(throws: EmbeddedError.self) { try DataDirectory(folder.path).prepare(for: runner) }
    #expect(error?.description.contains("thesis.txt") == true)
    #expect(names(in: folder.path) == ["thesis.txt"])
}

@Test func aFolderOfOursIsUsedAgain() throws {
    let folder = TemporaryFolder()
    let data = DataDirectory("\(folder.path)/new/hub")
    try data.prepare(for: runner)
    let lock = try RunLock.take(data)
    try data.prepare(for: runner)
    let error = #expect(throws: EmbeddedError.self) { try RunLock.take(data) }
    #expect(error?.code == .alreadyRunning)
    #expect(error?.description.contains("process \(getpid())") == true)

    let file = ConnectionFile(
        hub: "main", broker: "mqtt://127.0.0.1:21883", user: "user.owner", password: "secret", database: "host=/x",
        psql: "psql \"host=/x\"", data: data.path, pid: 4711)
    try writeFile(data.connectionFile, file.text, mode: 0o600)
    #expect(try ConnectionFile(readingFrom: data.connectionFile) == file)
    let second = #expect(throws: EmbeddedError.self) { try RunLock.take(data) }
    #expect(second?.description.contains("process 4711") == true)
    #expect(second?.description.contains("mqtt://127.0.0.1:21883") == true)
    #expect(second?.description.contains("secret") == false)
    withExtendedLifetime(lock) {}
}

@Test func namesThatConfigurationFilesCannotSayAreRefused() {
    for name in ["a\"b", "a'b", "a,b", "a\\b", "a\nb"] {
        let error = #expect(throws: EmbeddedError.self) {
            try DataDirectory("/tmp/no-such-folder/\(name)").prepare(for: runner)
        }
        #expect(error?.code == .dataDirectory)
    }
}

@Test func aPathTooLongForASocketNamesTheFolder() async {
    let data = DataDirectory("/tmp/" + String(repeating: "x", count: 100))
    let error = await #expect(throws: EmbeddedError.self) {
        try await PrivatePostgres(data: data, runningAs: runner)
    }
    #expect(error?.description.contains(data.path) == true)
    #expect(error?.description.contains("--data") == true)
}

@Test(.enabled(if: geteuid() == 0)) func aFolderOutOfReachForTheServicesIsRefused() throws {
    let folder = TemporaryFolder()
    try folder.makeFolder("private")
    chmod("\(folder.path)/private", 0o700)
    let error = #expect(throws: EmbeddedError.self) {
        try DataDirectory("\(folder.path)/private/hub").prepare(for: runner)
    }
    #expect(error?.description.contains("may not enter \(folder.path)/private") == true)
}

@Test func theMachinesNameBecomesAnId() {
    #expect(NodeName.identifier("raspberrypi").text == "raspberrypi")
    #expect(NodeName.identifier("pi.example.org").text == "pi-example-org")
    #expect(NodeName.identifier("küche").text == "k-che")
    #expect(NodeName.identifier(String(repeating: "x", count: 100)).text.count == 64)
    #expect(NodeName.identifier("").text == "node")
}

@Test func theNodeKeepsItsIdWhenTheMachineIsRenamed() throws {
    let folder = TemporaryFolder()
    let data = DataDirectory(folder.path)
    #expect(try NodeName.ofAgent(in: data) == NodeName.ofThisMachine())
    try folder.write("agent.json", #"{"node": {"id": "the-old-name"}}"#)
    #expect(try NodeName.ofAgent(in: data).text == "the-old-name")
    try folder.write("agent.json", #"{"node": {"id": "no id"}}"#)
    #expect(try NodeName.ofAgent(in: data) == NodeName.ofThisMachine())
}

@Test func passwordsAreMadeOnceAndKept() throws {
    let folder = TemporaryFolder()
    let path = "\(folder.path)/secrets.json"
    let first = try Secrets.load(path)
    #expect(Set([first.hub, first.node, first.owner]).count == 3)
    #expect(try Secrets.load(path) == first)
    // A file that is no use any more is made anew, as far as it has to be.
    try writeFile(path, #"{"hub": "\#(first.hub)", "node": 3}"#, mode: 0o600)
    let second = try Secrets.load(path)
    #expect(second.hub == first.hub && second.owner != first.owner)
}
