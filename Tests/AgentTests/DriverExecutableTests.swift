import Files
import TestSupport
import Testing

@testable import Agent

@Test func aDriverOfOthersIsFoundByItsName() throws {
    let folder = TemporaryFolder()
    let first = "\(folder.path)/first", second = "\(folder.path)/second"
    try Folder.make(first)
    try Folder.make(second)
    func path(of driver: String, among folders: String) -> String {
        DriverExecutable.path(of: driver, among: folders, otherwise: "/usr/bin/sensor-driver")
    }
    #expect(path(of: "mine", among: "\(first):\(second)") == "/usr/bin/sensor-driver")

    let program = "\(second)/sensorhub-driver-mine"
    try File.replace(program, with: "#!/bin/sh\n".utf8, mode: 0o755)
    #expect(path(of: "mine", among: "\(first):\(second)") == program)
    #expect(path(of: "other", among: "\(first):\(second)") == "/usr/bin/sensor-driver")

    // What cannot be executed is none, nor is a folder.
    try File.replace("\(first)/sensorhub-driver-mine", with: "".utf8, mode: 0o644)
    try Folder.make("\(first)/sensorhub-driver-folder")
    #expect(path(of: "mine", among: "\(first):\(second)") == program)
    #expect(path(of: "folder", among: first) == "/usr/bin/sensor-driver")
}

@Test func aDriversNameDoesNotLeadElsewhere() throws {
    let folder = TemporaryFolder()
    try Folder.make("\(folder.path)/sensorhub-driver-x")
    try File.replace("\(folder.path)/evil", with: "#!/bin/sh\n".utf8, mode: 0o755)
    for name in ["x/../evil", "../evil", ""] {
        #expect(DriverExecutable.path(of: name, among: folder.path, otherwise: "standard") == "standard")
    }
    // A folder that depends on where somebody stands does not count.
    #expect(DriverExecutable.path(of: "mine", among: ".:", otherwise: "standard") == "standard")
}
