import Testing

@testable import Embedded

@Test func aProgramsOutputIsReturned() async throws {
    let output = try await Command(executable: "/bin/sh", arguments: ["-c", "echo one; echo two >&2"]).run()
    #expect(output == "one\ntwo\n")
}

@Test func aFailureIsToldInTheProgramsOwnWords() async {
    let failed = await #expect(throws: EmbeddedError.self) {
        try await Command(
            executable: "/bin/sh",
            arguments: [
                "-c", "echo starting; echo '12:00 FATAL:  could not write: No space left'; echo cleaning; exit 1",
            ]
        ).run()
    }
    #expect(failed?.description == "could not write: No space left")
    let silent = await #expect(throws: EmbeddedError.self) {
        try await Command(executable: "/bin/sh", arguments: ["-c", "exit 7"]).run()
    }
    #expect(silent?.description.contains("7") == true)
    let missing = await #expect(throws: EmbeddedError.self) {
        try await Command(executable: "/no/such/program", arguments: []).run()
    }
    #expect(missing?.description.contains("/no/such/program") == true)
}

@Test func ourOwnSettingsDoNotReachThePrograms() {
    let environment = childEnvironment()
    #expect(environment["PATH"] != nil)
    #expect(!environment.keys.contains { $0.hasPrefix("SENSORHUB_") || $0.hasPrefix("PG") })
}
