public import SimdJSON

/// What the hub asks of a node besides its plan: a signal for one run of a program, and for no later one.
public struct SignalRequest: Sendable, Hashable {
    public let program: ProgramID
    public let signal: Signal
    public let run: Int64
    /// By which the node knows it when it comes again.
    public let name: String

    /// No such message is longer; a plan may be.
    public static let maximumBytes = 1_024

    public init(_ program: ProgramID, _ signal: Signal, run: Int64, name: String) {
        self.program = program
        self.signal = signal
        self.run = run
        self.name = name
    }

    public var json: JSON {
        [
            "kind": "signal", "id": .string(program.id.text), "program": .string(program.kind.rawValue),
            "signal": .int(Int64(signal.number)), "run": .int(run), "request": .string(name),
        ]
    }

    public init(_ reader: DocumentReader) throws(ValidationError) {
        program = try ProgramID(reader)
        let number = try reader.required("signal")
        guard let signal = Signal(number: Int32(try number.int(1...64))) else { throw number.error("is no signal") }
        self.signal = signal
        run = try reader.required("run").int()
        name = try reader.required("request").requestName()
    }
}
