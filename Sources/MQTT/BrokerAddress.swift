import Glibc

/// Where a broker listens: for the network, or for the programs of its own machine.
public enum BrokerAddress: Sendable, Hashable, CustomStringConvertible {
    case tcp(TCPAddress)
    case unix(UnixSocket)

    /// Reads `unix:///path`, or what `TCPAddress` reads.
    ///
    /// - Throws: `InvalidAddress`.
    public init(_ text: String) throws(InvalidAddress) {
        if text.hasPrefix(UnixSocket.scheme) {
            self = .unix(try UnixSocket(path: String(text.dropFirst(UnixSocket.scheme.count))))
        } else if let address = TCPAddress(text) {
            self = .tcp(address)
        } else {
            throw InvalidAddress("is no address such as mqtt://192.168.1.5:1883 or unix:///run/sensorhub/mqtt.sock")
        }
    }

    /// The Unix socket; nil where the broker is reached over TCP.
    public var socket: UnixSocket? {
        if case .unix(let socket) = self { socket } else { nil }
    }

    /// True where only programs of the broker's own machine reach it.
    public var isOfOneMachine: Bool {
        switch self {
        case .tcp(let address):
            ["localhost", "::1"].contains(address.host.lowercased())
                || address.host.hasPrefix("127.") && address.host.utf8.allSatisfy { (0x2E...0x39).contains($0) }
        case .unix: true
        }
    }

    public var description: String {
        switch self {
        case .tcp(let address): address.description
        case .unix(let socket): socket.description
        }
    }
}

/// Why a text is no address of a broker, as the end of a sentence that begins with the text.
public struct InvalidAddress: Error, Hashable, CustomStringConvertible {
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// A host and a port.
public struct TCPAddress: Sendable, Hashable, CustomStringConvertible {
    public let host: String
    public let port: UInt16

    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Reads `mqtt://host:port`, `host:port` or `host` (port 1883 then); an IPv6 address stands in brackets.
    public init?(_ text: String) {
        let text = text.hasPrefix("mqtt://") ? text.dropFirst("mqtt://".count) : text[...]
        let host: Substring
        let rest: Substring
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            host = text[text.index(after: text.startIndex)..<end]
            rest = text[text.index(after: end)...]
        } else {
            let end = text.lastIndex(of: ":") ?? text.endIndex
            host = text[..<end]
            rest = text[end...]
            guard !host.contains(":") else { return nil }
        }
        guard !host.isEmpty, !host.contains("/") else { return nil }
        guard !rest.isEmpty else {
            self.init(host: String(host), port: 1883)
            return
        }
        guard rest.hasPrefix(":"), let port = UInt16(rest.dropFirst()), port > 0 else { return nil }
        self.init(host: String(host), port: port)
    }

    public var description: String { "mqtt://\(host.contains(":") ? "[\(host)]" : host):\(port)" }
}

/// A Unix socket, which a broker makes and only programs of the same machine can use.
public struct UnixSocket: Sendable, Hashable, CustomStringConvertible {
    static let scheme = "unix://"
    /// The kernel's limit in bytes (`sun_path`, less the closing zero).
    static let longestPath = 107

    /// Absolute, and taken as it stands: nothing in it is escaped.
    public let path: String

    /// - Throws: `InvalidAddress` for a path that no socket can have.
    public init(path: String) throws(InvalidAddress) {
        guard path.hasPrefix("/"), !path.hasSuffix("/") else {
            throw InvalidAddress(
                "is no absolute path of a socket: the address of one is such as unix:///run/sensorhub/mqtt.sock")
        }
        guard path.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw InvalidAddress("has a control character in the socket's path")
        }
        guard path.utf8.count <= Self.longestPath else {
            throw InvalidAddress(
                "is too long: the socket's path has \(path.utf8.count) bytes, and Linux allows \(Self.longestPath)")
        }
        self.path = path
    }

    /// The folder of the socket. A broker that starts makes the socket anew: what is to reach it through a mount needs
    /// the folder mounted.
    public var folder: String {
        let end = path.lastIndex(of: "/")!
        return end == path.startIndex ? "/" : String(path[..<end])
    }

    public var description: String { Self.scheme + path }

    /// Why nobody could be reached here.
    ///
    /// - Parameter number: errno of `connect`.
    func reason(_ number: Int32) -> String {
        switch number {
        case ENOENT, ENOTDIR: "there is no such socket; the broker makes it by 'listener 0 \(path)'"
        case ECONNREFUSED: "nobody listens at this socket; the broker that made it has ended"
        case EACCES: "this account may not use the socket; the broker makes it for its own account and group"
        default: String(cString: strerror(number))
        }
    }
}
