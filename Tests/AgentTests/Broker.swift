import Glibc
import Testing
import Watch

@testable import Agent

func withTemporaryFolder(_ body: (String) async throws -> Void) async throws {
    var template = Array("/tmp/sensorhub-agent-XXXXXX".utf8CString)
    let folder = String(cString: mkdtemp(&template))
    defer { try? Folder.remove(folder) }
    try await body(folder)
}

/// A real mosquitto that lets everybody in.
final class Broker: Sendable {
    let port: UInt16
    private let program: WatchedProgram

    init(folder: String) throws {
        port = Self.freePort()
        let path = "\(folder)/mosquitto.conf"
        // It keeps the hub's session over a restart, so that the hub misses nothing that the agent sends before the hub
        // is back.
        let configuration = """
            listener \(port) 127.0.0.1
            allow_anonymous true
            user root
            persistence true
            persistence_location \(folder)/

            """
        try PrivateFile.write(configuration.utf8, to: path)
        program = WatchedProgram(
            name: "mosquitto", recordFile: nil,
            specification: ProgramSpecification(
                executable: "mosquitto", arguments: ["-c", path], environment: ["PATH": defaultPath],
                restart: RestartPolicy(.never, startSeconds: .zero))
        ) { _ in }
    }

    func start() async {
        await program.start()
        while !Self.answers(port) { try? await Task.sleep(for: .milliseconds(10)) }
    }

    func stop() async {
        await program.stop(reason: "test")
    }

    private static func address(_ port: UInt16) -> sockaddr_in {
        sockaddr_in(
            sin_family: sa_family_t(AF_INET), sin_port: port.bigEndian,
            sin_addr: in_addr(s_addr: UInt32(0x7F00_0001).bigEndian), sin_zero: (0, 0, 0, 0, 0, 0, 0, 0))
    }

    private static func withSocket<Result>(
        _ port: UInt16, _ body: (Int32, UnsafeMutablePointer<sockaddr>, inout socklen_t) -> Result
    ) -> Result {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = address(port)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        return withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body(descriptor, $0, &size) }
        }
    }

    private static func freePort() -> UInt16 {
        withSocket(0) { descriptor, address, size in
            bind(descriptor, address, size)
            getsockname(descriptor, address, &size)
            return address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { UInt16(bigEndian: $0.pointee.sin_port) }
        }
    }

    private static func answers(_ port: UInt16) -> Bool {
        withSocket(port) { descriptor, address, size in connect(descriptor, address, size) == 0 }
    }
}
