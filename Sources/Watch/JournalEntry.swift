import HubModel
package import SimdJSON

/// What a journal has to tell of a program.
package enum JournalContent: Sendable, Hashable {
    /// A line that the program wrote in that run.
    case line(OutputLine, run: Int64)
    /// Its state has changed.
    case state(ProgramStateMachine.Memory)
}

/// An entry of a journal. Numbers grow by one from entry to entry.
package struct JournalEntry: Sendable, Hashable {
    package let number: Int64
    package let content: JournalContent

    package init(number: Int64, content: JournalContent) {
        self.number = number
        self.content = content
    }

    /// As a line of the journal has it. What the hub is told of an entry is in it, see docs/topics.md.
    package var json: JSON {
        switch content {
        case .line(let line, let run):
            return [
                "n": .int(number), "t": .int(line.time), "run": .int(run), "stream": .string(line.stream.rawValue),
                "text": .string(line.text), "end": .int(line.end),
            ]
        case .state(let memory):
            var object: JSONObject = ["n": .int(number)]
            for member in memory.json { object[member.key] = member.value }
            return .object(object)
        }
    }

    /// - Throws: `ValidationError` for what is no entry.
    package init(_ json: JSON) throws(ValidationError) {
        let reader = DocumentReader(json)
        number = try reader.required("n").int(1...Int64.max)
        guard let word = try reader.optional("stream") else {
            content = .state(try ProgramStateMachine.Memory(reader))
            return
        }
        guard let stream = OutputLine.Stream(rawValue: try word.string()) else { throw word.error("is no stream") }
        content = .line(
            OutputLine(
                time: try reader.required("t").int(), stream: stream, text: try reader.required("text").string(),
                end: try reader.optional("end")?.int() ?? 0), run: try reader.required("run").int())
    }
}

extension ProgramStateMachine.Memory {
    package var json: JSONObject {
        var object: JSONObject = [
            "t": .int(status.since), "run": .int(status.run), "state": .string(status.state.rawValue),
            "reason": .string(status.reason),
        ]
        if let pid = status.pid { object["pid"] = .int(Int64(pid)) }
        if let code = status.exitCode { object["exit_code"] = .int(Int64(code)) }
        if let signal = status.signal { object["signal"] = .int(Int64(signal)) }
        if isWaiting { object["waiting"] = true }
        if start > 0 { object["start"] = .int(start) }
        if failedStarts > 0 { object["failed_starts"] = .int(Int64(failedStarts)) }
        return object
    }

    package init(_ reader: DocumentReader) throws(ValidationError) {
        let int32 = Int64(Int32.min)...Int64(Int32.max)
        func number(_ key: String) throws(ValidationError) -> Int32? {
            guard let value = try reader.optional(key) else { return nil }
            return Int32(try value.int(int32))
        }
        let word = try reader.required("state")
        guard let state = ProgramState(rawValue: try word.string()) else { throw word.error("is no state") }
        self.init(
            status: ProgramStatus(
                state: state, reason: try reader.required("reason").string(), pid: try number("pid"),
                since: try reader.required("t").int(), run: try reader.required("run").int(),
                exitCode: try number("exit_code"), signal: try number("signal")),
            isWaiting: try reader.optional("waiting")?.bool() ?? false,
            failedStarts: Int(try reader.optional("failed_starts")?.int(0...1_000_000) ?? 0),
            start: try reader.optional("start")?.int() ?? 0)
    }
}
