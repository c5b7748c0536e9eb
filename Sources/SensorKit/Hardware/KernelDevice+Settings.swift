import Glibc

extension KernelDevice {
    /// All lines of a file; `text` has the first only. Reading it may make the kernel talk to the chip.
    public func lines(_ file: String) throws(SensorFault) -> [String] {
        let path = "\(path)/\(file)"
        do throws(FileError) {
            return try File.text(of: path, limit: 4_096).split(separator: "\n").map(String.init)
        } catch {
            throw SensorFault(error.isNotFound ? "\(error) (unplugged, or taken from its driver?)" : error.description)
        }
    }

    /// Writes a file, with which the kernel's driver sets the chip.
    public func set(_ file: String, to text: String) throws(SensorFault) {
        let path = "\(path)/\(file)"
        let descriptor = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else {
            let code = errno
            let hint = code == EACCES ? "; root may, or whom a udev rule gives the file to" : ""
            throw SensorFault("\(FileError(path, code))\(hint)")
        }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard write(descriptor, bytes, bytes.count) == bytes.count else {
            throw SensorFault("'\(text.prefix(80))' cannot be set: \(FileError(path, errno))")
        }
    }
}
