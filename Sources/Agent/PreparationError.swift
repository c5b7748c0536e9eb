/// Why a program cannot be started yet, or not at all.
struct PreparationError: Error {
    let reason: String
    /// True where another try would end the same way.
    let isFinal: Bool

    init(_ reason: String, isFinal: Bool = false) {
        self.reason = reason
        self.isFinal = isFinal
    }
}
