import Glibc
import MQTT
import Testing

@testable import Embedded

/// A socket that listens on a port of the loopback interface until it is closed.
private func listenSomewhere() throws -> (descriptor: Int32, port: UInt16) {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
            _ = bind(descriptor, pointer, length)
            _ = listen(descriptor, 1)
            _ = getsockname(descriptor, pointer, &length)
        }
    }
    return (descriptor, UInt16(bigEndian: address.sin_port))
}

@Test func aTakenPortIsReportedAndAnotherFound() throws {
    let (descriptor, port) = try listenSomewhere()
    for host in ["127.0.0.1", "0.0.0.0"] {
        let error = #expect(throws: EmbeddedError.self) {
            try ListenAddress.check(TCPAddress(host: host, port: port))
        }
        #expect(error?.code == .address)
        #expect(error?.description.contains("another program listens there") == true)
    }
    #expect(try ListenAddress.loopbackPort(preferred: port).port != port)
    close(descriptor)
    // A process that another test is just making may have it for a moment.
    for _ in 0..<1_500 where try ListenAddress.loopbackPort(preferred: port).port != port { usleep(20_000) }
    #expect(try ListenAddress.loopbackPort(preferred: port).port == port)
    let avoiding = [TCPAddress(host: "0.0.0.0", port: port)]
    #expect(try ListenAddress.loopbackPort(preferred: port, avoiding: avoiding).port != port)
}

@Test func twoHubsNeverChooseTheSamePort() throws {
    let (descriptor, port) = try listenSomewhere()
    close(descriptor)
    for _ in 0..<1_500 where try ListenAddress.loopbackPort(preferred: port).port != port { usleep(20_000) }
    // Nobody listens yet.
    let first = try ListenAddress.loopbackPort(preferred: port)
    #expect(first.port == port)
    #expect(try ListenAddress.loopbackPort(preferred: port).port != port)
    withExtendedLifetime(first) {}
}

@Test func anAddressOfAnotherMachineIsRefused() {
    // TEST-NET-1 of RFC 5737: nobody has it.
    let error = #expect(throws: EmbeddedError.self) {
        try ListenAddress.check(TCPAddress(host: "192.0.2.1", port: 1883))
    }
    #expect(error?.description.contains("no such address") == true)
}

@Test func anAddressIsGivenAsOthersReachIt() {
    #expect(ListenAddress.reachable(TCPAddress(host: "192.168.1.5", port: 1883)) == ["192.168.1.5:1883"])
    #expect(ListenAddress.reachable(TCPAddress(host: "::1", port: 1883)) == ["[::1]:1883"])
    let all = ListenAddress.reachable(TCPAddress(host: "0.0.0.0", port: 1883))
    #expect(!all.isEmpty && all.allSatisfy { $0.hasSuffix(":1883") && !$0.hasPrefix("127.") })
}
