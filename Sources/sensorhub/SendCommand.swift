import ArgumentParser
import HubModel
import SimdJSON

struct SendCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "send", abstract: "Write to the standard input of a program that runs.",
        discussion: """
            Words are sent as one line. What is on its way when the program ends is lost: input is for the run that is \
            there, and for no later one.
            """)
    @OptionGroup var program: ProgramArguments
    @Argument(help: "What to send.") var text: [String] = []
    @Option(
        help: ArgumentHelp("Send what is in this file as it is, - for standard input.", valueName: "file"),
        completion: .file())
    var file: String?
    @Flag(help: "Close the program's input afterwards.") var eof = false
    @Flag(help: "Send the words without an end of line.") var noNewline = false
    @OptionGroup var options: HubOptions

    func validate() throws {
        if file != nil, !text.isEmpty || noNewline {
            throw ArgumentParser.ValidationError("give words or --file, not both")
        }
        if file == nil, text.isEmpty, !eof {
            throw ArgumentParser.ValidationError("there is nothing to send: give words, --file or --eof")
        }
    }

    func run() async throws {
        let source = try file.map { try InputSource($0) }
        var delivery = Delivery(program.parameters, try await options.connect())
        if let source {
            while let bytes = try source.next() { try await delivery.send(bytes) }
        } else if !text.isEmpty {
            let bytes = Array((text.joined(separator: " ") + (noNewline ? "" : "\n")).utf8)
            for start in stride(from: 0, to: bytes.count, by: InputRequest.maximumInputBytes) {
                try await delivery.send(Array(bytes[start...].prefix(InputRequest.maximumInputBytes)))
            }
        }
        if eof { try await delivery.send([], isLast: true) }
        guard let reply = delivery.lastReply else { return note("\(file ?? ""): there is nothing in it") }
        try options.show(reply) { reply in
            let end = eof ? ", and the end of input," : ""
            print(
                "\(program.id): \(delivery.count) bytes\(end) are on their way to process \(reply.plain("pid")) on "
                    + reply.plain("node"))
        }
    }

    /// Piece after piece to one and the same run.
    private struct Delivery {
        private let parameters: JSONObject
        private let client: HubClient
        private(set) var lastReply: JSON?
        private(set) var count = 0

        init(_ parameters: JSONObject, _ client: HubClient) {
            self.parameters = parameters
            self.client = client
        }

        mutating func send(_ bytes: [UInt8], isLast: Bool = false) async throws {
            var parameters = parameters
            parameters["data"] = .string(Base64.encode(bytes))
            parameters["eof"] = .bool(isLast)
            if let run = lastReply?["run"] { parameters["run"] = run }
            do {
                lastReply = try await client.request("programs", "send", parameters)
            } catch let error as CommandError where count > 0 {
                throw CommandError("\(error), after \(count) bytes")
            }
            count += bytes.count
        }
    }
}
