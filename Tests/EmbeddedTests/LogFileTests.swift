import TestSupport
import Testing

@testable import Embedded

@Test func aLogKeepsOneGenerationAndItsBound() throws {
    let folder = TemporaryFolder()
    let path = "\(folder.path)/hub.log"
    let log = try LogFile(path, limit: 20)
    log.append(["one", "two"])
    log.append(["three and four"])
    #expect(try readText(path) == "three and four\n")
    #expect(try readText(path + ".1") == "one\ntwo\n")
    log.append(["five and six"])
    #expect(try readText(path) == "five and six\n")
    #expect(try readText(path + ".1") == "three and four\n")

    // A new run goes on where the last one stopped.
    let next = try LogFile(path, limit: 20)
    next.append(["x"])
    #expect(try readText(path) == "five and six\nx\n")
    next.append(["seven"])
    #expect(try readText(path) == "seven\n")
    #expect(LogFile.tail(path + ".1", lines: 1) == ["x"])
    #expect(LogFile.tail("\(folder.path)/none") == [])
}

@Test func warningsAndErrorsAreToldApartFromTheRest() {
    let warning = LogWarning("2026-11-20T22:49:18+0000 warning hub: [Hub] waiting for the database: no")
    #expect(warning?.text == "warning: [Hub] waiting for the database: no")
    #expect(LogWarning("2026-11-20T22:49:18+0000 error agent: gone")?.text == "error: gone")
    #expect(LogWarning("2026-11-20T22:49:18+0000 critical hub: broker=x [Hub] y")?.text == "critical: broker=x [Hub] y")
    #expect(LogWarning("Error: 'broker.password' is not set")?.text == "Error: 'broker.password' is not set")
    #expect(LogWarning("2026-11-20T22:49:18+0000 info hub: an error was survived") == nil)
    #expect(LogWarning("2026-11-20T22:49:18+0000 notice hub: warning") == nil)
    #expect(LogWarning("") == nil)
}
