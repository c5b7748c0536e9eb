import Files
import Glibc
public import MQTT

/// A real mosquitto of a test's own, which can be killed and started again at the same port and socket. It lets everybody in unless
/// it is given other lines of configuration.
public final class TestBroker {
    /// Of the loopback interface.
    public let port: UInt16
    public var address: BrokerAddress { .tcp(TCPAddress(host: "127.0.0.1", port: port)) }
    public let socket: UnixSocket
    private let folder = TemporaryFolder()
    private var pid: pid_t = 0

    public init(configuration: String = "allow_anonymous true") throws {
        port = Self.freePort()
        socket = try UnixSocket(path: "\(folder.path)/mqtt.sock")
        // The port comes last, so that both are there when it answers.
        try folder.write(
            "mosquitto.conf",
            "listener 0 \(socket.path)\nlistener \(port) 127.0.0.1\nlog_dest none\nuser root\n\(configuration)\n")
    }

    deinit { kill() }

    /// Starts it and waits until it answers.
    public func start() throws {
        let places = ["/usr/sbin", "/usr/bin", "/usr/local/sbin"].map { "\($0)/mosquitto" }
        guard let path = places.first(where: File.isExecutable) else { throw FileError(places[0], ENOENT) }
        let words: [String] = [path, "-c", "\(folder.path)/mosquitto.conf"]
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { arguments.forEach { free($0) } }
        let code = posix_spawn(&pid, path, nil, nil, &arguments, environ)
        guard code == 0 else { throw FileError(path, code) }
        for _ in 0..<6_000 {
            if answers { return }
            usleep(10_000)
        }
        throw FileError(path, ETIMEDOUT)
    }

    /// Without a farewell to anybody.
    public func kill() {
        guard pid > 0 else { return }
        Glibc.kill(pid, SIGKILL)
        waitpid(pid, nil, 0)
        pid = 0
    }

    private var answers: Bool { Self.withSocket(port) { connect($0, $1, $2) } == 0 }

    private static func freePort() -> UInt16 {
        while true {
            // Below the range from which the kernel serves connections: there it could be taken before the broker has it.
            let port = UInt16.random(in: 20_000..<32_000)
            if withSocket(port, { bind($0, $1, $2) }) == 0 { return port }
        }
    }

    private static func withSocket<Result>(
        _ port: UInt16, _ body: (Int32, UnsafeMutablePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        // Not for a broker that another test starts meanwhile: it would hold the port.
        let descriptor = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        return withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
