import HubModel

/// Why a program cannot be started yet, or not at all.
struct PreparationError: Error {
    let reason: String
    /// True where another try would end the same way.
    let isFinal: Bool
    /// What a final one leaves the program in.
    let state: ProgramState

    init(_ reason: String, isFinal: Bool = false, state: ProgramState = .fatal) {
        self.reason = reason
        self.isFinal = isFinal
        self.state = state
    }
}
