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
    #expect(LogSeverity.isAlarming("2026-11-20T22:49:18+0000 warning hub: waiting for the database"))
    #expect(LogSeverity.isAlarming("2026-11-20T22:49:18+0000 error agent: [Agent] no disk"))
    #expect(LogSeverity.isAlarming("2026-11-20T22:49:18+0000 [CRITICAL] hub: gone"))
    #expect(LogSeverity.isAlarming("Error: 'broker.password' is not set"))
    #expect(!LogSeverity.isAlarming("2026-11-20T22:49:18+0000 info hub: an error was survived"))
    #expect(!LogSeverity.isAlarming(""))
}
