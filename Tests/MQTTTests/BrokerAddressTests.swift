import MQTT
import Testing

@Suite struct BrokerAddressTests {
    @Test(arguments: [
        ("mqtt://192.168.1.5:1884", "192.168.1.5", 1884), ("broker.example", "broker.example", 1883),
        ("localhost:21883", "localhost", 21_883), ("mqtt://[::1]:1885", "::1", 1885),
    ])
    func aHostAndAPort(text: String, host: String, port: UInt16) throws {
        let address = try BrokerAddress(text)
        #expect(address == .tcp(TCPAddress(host: host, port: port)))
        #expect(address.socket == nil)
        #expect(try BrokerAddress(address.description) == address)
    }

    @Test(arguments: [
        ("unix:///run/sensorhub/mqtt.sock", "/run/sensorhub/mqtt.sock", "/run/sensorhub"),
        ("unix:///mqtt.sock", "/mqtt.sock", "/"),
        // Taken as they stand: no escapes, no query, no port.
        ("unix:///run/a hub/ü%20?x=1#1:2.sock", "/run/a hub/ü%20?x=1#1:2.sock", "/run/a hub"),
    ])
    func aSocket(text: String, path: String, folder: String) throws {
        let address = try BrokerAddress(text)
        #expect(address.socket?.path == path)
        #expect(address.socket?.folder == folder)
        #expect(address.description == text)
    }

    @Test(arguments: [
        ("", "is no address"), ("http://x", "is no address"), ("mqtt://", "is no address"),
        ("mqtt://host:0", "is no address"), ("mqtt://host:65536", "is no address"), ("mqtt://[::1", "is no address"),
        ("/run/mqtt.sock", "or unix:///run/sensorhub/mqtt.sock"), ("unix:/run/mqtt.sock", "or unix:///"),
        ("unix://", "no absolute path"), ("unix://run/mqtt.sock", "no absolute path"),
        ("unix://./mqtt.sock", "no absolute path"), ("unix:///", "no absolute path"),
        ("unix:///run/", "no absolute path"), ("unix:///run/a\0b", "control character"),
        ("unix:///run/a\nb", "control character"),
    ])
    func whatIsNone(text: String, reason: String) {
        let error = #expect(throws: InvalidAddress.self) { try BrokerAddress(text) }
        #expect(error?.description.contains(reason) == true)
    }

    @Test func aSocketsPathHasALimitInBytes() throws {
        let longest = "/" + String(repeating: "ü", count: 53)
        #expect(longest.utf8.count == 107)
        #expect(try BrokerAddress("unix://\(longest)").socket?.path == longest)
        let error = #expect(throws: InvalidAddress.self) { try BrokerAddress("unix://\(longest)x") }
        #expect(error?.description == "is too long: the socket's path has 108 bytes, and Linux allows 107")
    }
}
