/// What is said of a program that could not be started because it is not there.
public enum LaunchFailure {
    /// Of a path.
    public static func missing(_ program: String) -> String { "the program '\(program)' does not exist" }
    /// Of a name.
    public static func notInPath(_ program: String) -> String { "the program '\(program)' is not in PATH" }

    /// What a shell's exit code would be: 127 where the program is not there, 126 where it cannot be started otherwise.
    ///
    /// - Parameter reason: why `program` is FATAL.
    public static func exitCode(_ reason: String, of program: String) -> Int32 {
        reason == missing(program) || reason == notInPath(program) ? 127 : 126
    }
}
