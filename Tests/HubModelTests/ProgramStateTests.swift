import HubModel
import Testing

@Suite struct ProgramStateTests {
    /// As supervisor/states.py of Supervisor 4.2.5 has them, and ours.
    @Test func statesHaveSupervisorsNumbers() {
        let codes = Dictionary(uniqueKeysWithValues: ProgramState.allCases.map { ($0.rawValue, $0.code) })
        #expect(
            codes == [
                "STOPPED": 0, "STARTING": 10, "RUNNING": 20, "BACKOFF": 30, "STOPPING": 40, "WAITING": 50,
                "EXITED": 100, "FATAL": 200, "UNKNOWN": 1_000,
            ])
    }
}
