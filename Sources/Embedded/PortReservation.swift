import Glibc

/// A port of the loopback interface that this process has for itself among all `sensorhub up` of the machine, for as
/// long as this object lives. A broker that has yet to start, or is being started again, does not hold its port itself.
///
/// It is an abstract Unix socket named after the port: nobody else gets the name, and the kernel frees it however the
/// process ends. Other programs know nothing of it.
final class PortReservation: Sendable {
    let port: UInt16
    private let descriptor: Int32

    /// Nil where another hub has it.
    init?(_ port: UInt16) {
        self.port = port
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        // A name that begins with NUL is none of the file system; its length ends it.
        let name = [0] + Array("sensorhub port \(port)".utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + name.count)
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
        if code != 0 { return nil }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }
}
