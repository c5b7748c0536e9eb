import Glibc
import MQTT

/// Whether and as what an address of this machine can be listened on.
enum ListenAddress {
    /// Tries to take `address`, and lets go of it again.
    ///
    /// - Throws: `EmbeddedError` with the reason where it cannot be had.
    static func check(_ address: TCPAddress) throws(EmbeddedError) {
        var hints = addrinfo()
        hints.ai_flags = AI_PASSIVE
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(address.host, String(address.port), &hints, &found)
        guard code == 0 else {
            throw EmbeddedError(
                .address, "cannot listen on '\(address.host)': \(String(cString: gai_strerror(code)))")
        }
        defer { freeaddrinfo(found) }
        var next = found
        while let candidate = next?.pointee {
            next = candidate.ai_next
            let descriptor = socket(
                candidate.ai_family, candidate.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), candidate.ai_protocol)
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            var on: Int32 = 1
            // As mosquitto does it: connections of the last run that are still closing are no hindrance.
            setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
            if candidate.ai_family == AF_INET6 {
                setsockopt(
                    descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &on, socklen_t(MemoryLayout<Int32>.size))
            }
            guard bind(descriptor, candidate.ai_addr, candidate.ai_addrlen) == 0 else {
                throw EmbeddedError(.address, "cannot listen on \(text(address)): \(reason(errno, address))")
            }
        }
    }

    private static func reason(_ number: Int32, _ address: TCPAddress) -> String {
        switch number {
        case EADDRINUSE:
            """
            another program listens there (if it is Debian's own mosquitto: \
            sudo systemctl disable --now mosquitto); choose another port with --listen
            """
        case EADDRNOTAVAIL: "this machine has no such address; 0.0.0.0 stands for all that it has"
        case EACCES: "ports below 1024 need root; choose a higher one"
        default: String(cString: strerror(number))
        }
    }

    /// A port of the loopback interface: `preferred` where nobody has it, else one found by chance.
    ///
    /// The choice is made below the range from which Linux takes ports for outgoing connections, so that it is likely to
    /// be free again at the next start.
    ///
    /// - Parameter avoiding: what is listened on besides, on whatever interface.
    static func loopbackPort(
        preferred: UInt16?, avoiding others: [TCPAddress] = []
    ) throws(EmbeddedError) -> PortReservation {
        var failure = EmbeddedError(.address, "no port of the loopback interface is free")
        for attempt in 0..<100 {
            let port = attempt == 0 ? preferred ?? 21_883 : UInt16.random(in: 20_000..<30_000)
            guard !others.contains(where: { $0.port == port }), let reservation = PortReservation(port)
            else { continue }
            do throws(EmbeddedError) {
                try check(TCPAddress(host: "127.0.0.1", port: port))
                return reservation
            } catch {
                failure = error
            }
        }
        throw failure
    }

    /// `host:port` as others reach it: for an address that stands for all, each that the machine has.
    static func reachable(_ address: TCPAddress) -> [String] {
        let family: Int32
        switch address.host {
        case "0.0.0.0": family = AF_INET
        case "::": family = AF_INET6
        default: return [text(address)]
        }
        let hosts = interfaceAddresses(family)
        return hosts.isEmpty ? [text(address)] : hosts.map { text(TCPAddress(host: $0, port: address.port)) }
    }

    static func text(_ address: TCPAddress) -> String {
        String(address.description.dropFirst("mqtt://".count))
    }

    /// The addresses of all interfaces that are up, without loopback and link-local ones.
    private static func interfaceAddresses(_ family: Int32) -> [String] {
        var first: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&first) == 0 else { return [] }
        defer { freeifaddrs(first) }
        var result: [String] = []
        var next = first
        while let entry = next?.pointee {
            next = entry.ifa_next
            guard let address = entry.ifa_addr, Int32(address.pointee.sa_family) == family,
                entry.ifa_flags & UInt32(IFF_UP) != 0, entry.ifa_flags & UInt32(IFF_LOOPBACK) == 0
            else { continue }
            let length = family == AF_INET ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size
            var name = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            guard
                getnameinfo(address, socklen_t(length), &name, socklen_t(name.count), nil, 0, NI_NUMERICHOST) == 0
            else { continue }
            let text = name.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
            if !text.hasPrefix("169.254."), !text.hasPrefix("fe80:") { result.append(text) }
        }
        return result
    }
}

/// True where somebody answers at an address of this machine.
func canConnect(_ address: TCPAddress) -> Bool {
    var hints = addrinfo()
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(address.host, String(address.port), &hints, &found) == 0, let candidate = found?.pointee else {
        return false
    }
    defer { freeaddrinfo(found) }
    let descriptor = socket(
        candidate.ai_family, candidate.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), candidate.ai_protocol)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    return connect(descriptor, candidate.ai_addr, candidate.ai_addrlen) == 0
}
