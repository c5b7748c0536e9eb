import HubModel
import MQTT
import SimdJSON

extension HubCore {
    /// `programs/send`: writes to the standard input of a program, and closes it where that is wanted.
    func sendInput(_ request: Request) throws -> Reply {
        let parameters = request.parameters, name = try request.nameForNode()
        try parameters.allowOnly(["id", "kind", "data", "text", "eof", "run"])
        let isLast = try parameters.optional("eof")?.bool() ?? false
        let input = try input(parameters, isLast: isLast)
        let running = try runningProgram(parameters)
        let run = running.commanded.run
        if let wanted = try parameters.optional("run")?.int(), wanted != run {
            throw Refusal(
                .conflict, "run \(wanted) of '\(running.commanded.program.id)' is over: it is in run \(run) now")
        }
        return try send(
            InputRequest(running.commanded.program, input, isLast: isLast, run: run, name: name).json, named: name,
            to: running.node, for: request,
            Reply([
                "node": .string(running.node.text), "pid": .int(running.pid), "run": .int(run),
                "bytes": .int(Int64(input.count)),
            ]))
    }

    private func input(_ parameters: DocumentReader, isLast: Bool) throws(ValidationError) -> [UInt8] {
        let data = try parameters.optional("data"), text = try parameters.optional("text")
        switch (data, text) {
        case (.some, .some): throw parameters.error("give 'data' or 'text', not both")
        case (let data?, nil): return try data.input()
        case (nil, let text?):
            guard let bytes = text.value.string.map({ Array($0.utf8) }) else { throw text.error("expected text") }
            guard bytes.count <= InputRequest.maximumInputBytes else {
                throw text.error(
                    "\(bytes.count) bytes are more than the \(InputRequest.maximumInputBytes) of one request")
            }
            return bytes
        case (nil, nil):
            guard isLast else { throw parameters.error("there is nothing to send: give 'data', 'text' or 'eof'") }
            return []
        }
    }
}
