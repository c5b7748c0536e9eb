import Glibc
import TestSupport
import Testing

@testable import Embedded

@Test func theDataFolderOfRootAndOfOthers() {
    func standard(_ variables: [String: String], isRoot: Bool = false) -> String {
        DataDirectory.standard(environment: { variables[$0] }, isRoot: isRoot, home: "/home/max").path
    }
    #expect(standard([:], isRoot: true) == "/var/lib/sensorhub")
    #expect(standard(["HOME": "/root", "XDG_DATA_HOME": "/root/x"], isRoot: true) == "/var/lib/sensorhub")
    #expect(standard([:]) == "/home/max/.local/share/sensorhub")
    #expect(standard(["HOME": "/elsewhere"]) == "/elsewhere/.local/share/sensorhub")
    #expect(standard(["HOME": "/home/max", "XDG_DATA_HOME": "/data/max/"]) == "/data/max/sensorhub")
    #expect(standard(["HOME": "/home/max", "XDG_DATA_HOME": "relative"]) == "/home/max/.local/share/sensorhub")
    #expect(standard(["SENSORHUB_DATA": "/srv/hub", "XDG_DATA_HOME": "/x"], isRoot: true) == "/srv/hub")
    #expect(standard(["SENSORHUB_DATA": ""]) == "/home/max/.local/share/sensorhub")
}

@Test func aRelativeDataFolderIsSeenFromHere() {
    #expect(DataDirectory("/srv//hub/./x/../y/").path == "/srv/hub/y")
    #expect(DataDirectory("here").path == (realPath(".")! + "/here"))
    #expect(DataDirectory("/").path == "/")
}

@Test func theShareFolderIsFoundAboveTheProgram() throws {
    let folder = TemporaryFolder()
    try folder.makeFolder("checkout/.build/release")
    let program = "\(folder.path)/checkout/.build/release/sensorhub"
    #expect(throws: EmbeddedError.self) { try Installation.find(executable: program, shareFromEnvironment: nil) }

    try folder.write("checkout/schema.sql", "")
    #expect(throws: EmbeddedError.self) { try Installation.find(executable: program, shareFromEnvironment: nil) }
    try folder.write("checkout/mosquitto.conf", "")
    let found = try Installation.find(executable: program, shareFromEnvironment: nil)
    #expect(found.share == "\(folder.path)/checkout")
    #expect(found.driver == "\(folder.path)/checkout/.build/release/sensor-driver")

    try folder.write("usr/share/sensorhub/schema.sql", "")
    try folder.write("usr/share/sensorhub/mosquitto.conf", "")
    let installed = try Installation.find(executable: "\(folder.path)/usr/bin/sensorhub", shareFromEnvironment: nil)
    #expect(installed.share == "\(folder.path)/usr/share/sensorhub")

    #expect(throws: EmbeddedError.self) {
        try Installation.find(executable: program, shareFromEnvironment: folder.path)
    }
    let said = try Installation.find(executable: "/usr/bin/sensorhub", shareFromEnvironment: found.share)
    #expect(said.share == found.share)
}

@Test func aFileIsReplacedInOneStep() throws {
    let folder = TemporaryFolder()
    let path = "\(folder.path)/secret"
    #expect(try readText(path) == nil)
    try writeFile(path, "one", mode: 0o600)
    try writeFile(path, "two", mode: 0o600)
    #expect(try readText(path) == "two")
    #expect(names(in: folder.path) == ["secret"])
    var status = stat()
    stat(path, &status)
    #expect(status.st_mode & 0o777 == 0o600)
    #expect(throws: EmbeddedError.self) { try writeFile("\(folder.path)/no/such", "x", mode: 0o600) }
    #expect(throws: EmbeddedError.self) { try makeFolder(path, mode: 0o700) }
    #expect(throws: EmbeddedError.self) { try makeFolder("\(path)/below", mode: 0o700) }
}
