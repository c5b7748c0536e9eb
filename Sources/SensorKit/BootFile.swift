/// Remembers a sensor's last boot number in the state directory, so that the next start has a higher one even where the
/// clock has gone back and the hub cannot be asked.
struct BootFile {
    private let path: String

    init(directory: String, instance: Identifier) {
        path = "\(directory)/\(instance).boot"
    }

    /// Nil where there is none yet.
    ///
    /// - Throws: `FileError`; `ValidationError` for a file with something else in it.
    func read() throws -> Int64? {
        let text: String
        do throws(FileError) {
            text = try File.text(of: path, limit: 64)
        } catch {
            if error.isNotFound { return nil }
            throw error
        }
        let digits = text.prefix { $0 != "\n" }
        guard let boot = Int64(digits), (0...1 << 53).contains(boot) else {
            throw ValidationError(path: path, "'\(digits)' is no boot number")
        }
        return boot
    }

    func write(_ boot: Int64) throws(FileError) {
        try File.replace(path, with: "\(boot)\n")
    }
}
