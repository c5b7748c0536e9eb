import Glibc
import HubModel
import MQTT
import SimdJSON

/// What a person does to a command that runs: input and signals. What comes before the command has a process, or while it
/// cannot be reached, waits for that.
struct CommandSteering: Sendable {
    private let program: ProgramID
    private let client: HubClient

    init(_ program: ProgramID, _ client: HubClient) {
        self.program = program
        self.client = client
    }

    /// More a second is not sent: on its way input is kept, but not without bound.
    private static let bytesPerSecond = 2 << 20

    /// Sends what is on standard input, and its end. Returns then, or at the command's.
    func sendInput() async throws {
        for await (bytes, taken) in try standardInput() {
            let isLast = bytes.isEmpty
            let parameters: JSONObject = ["data": .string(Base64.encode(bytes)), "eof": .bool(isLast)]
            let next = ContinuousClock.now + .seconds(1) * bytes.count / Self.bytesPerSecond
            guard try await ask("send", parameters) else { return }
            if isLast { return }
            if bytes.count > 4_096 { try await Task.sleep(until: next) }
            taken()
        }
    }

    /// - Returns: false where it has ended.
    @discardableResult
    func send(_ signal: Signal) async throws -> Bool {
        try await ask("signal", ["signal": .int(Int64(signal.number))])
    }

    /// Asks until the node is told, which may be long where hub, broker or node are away. It is told once.
    ///
    /// - Returns: false where the command has ended.
    private func ask(_ method: String, _ parameters: JSONObject) async throws -> Bool {
        var parameters = parameters
        parameters["id"] = .string(program.id.text)
        parameters["kind"] = .string(program.kind.rawValue)
        let name = makeUniqueID()
        var backoff = Backoff(first: .milliseconds(20), cap: .seconds(1))
        while true {
            do {
                let reply = try await client.answer(to: "programs", method, parameters, named: name)
                switch reply["status"]?.int ?? 500 {
                case 200..<300: return true
                case 404: return false
                case 409, 500...: break
                default: throw CommandError(reply["error"]?.string ?? "the hub refused without a reason")
                }
            } catch is MQTTError {
                // Nobody can tell whether it was done: the hub can.
            }
            try await Task.sleep(for: backoff.next())
        }
    }
}

/// A piece of standard input, and what is to be called before the next one is read.
private typealias InputPiece = (bytes: [UInt8], taken: @Sendable () -> Void)

/// Standard input, read by a thread of its own: that waits for somebody who types. The last piece is empty.
private func standardInput() throws -> AsyncStream<InputPiece> {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw CommandError("pipe: \(String(cString: strerror(errno)))") }
    let (listening, telling) = (ends[0], ends[1])
    let (stream, continuation) = AsyncStream.makeStream(of: InputPiece.self)
    let taken: @Sendable () -> Void = { _ = write(telling, [0], 1) }
    _ = startThread {
        var byte: UInt8 = 0
        do {
            let source = try InputSource("-")
            while let bytes = try source.next() {
                continuation.yield((bytes, taken))
                while read(listening, &byte, 1) < 0, errno == EINTR {}
            }
        } catch {
            note("\(error)")
        }
        continuation.yield(([], taken))
        continuation.finish()
    }
    return stream
}
