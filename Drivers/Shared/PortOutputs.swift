import SensorKit

/// A driver for a port expander.
protocol PortDriver: OutputDriver where Outputs == PortOutputs {
    var type: SensorType { get }

    /// Sets the pins and reads their levels.
    func exchange() throws(SensorFault) -> UInt16
}

extension PortDriver {
    var safeOutputs: PortOutputs { outputs.madeSafe }
    var hasOutputs: Bool { outputs.mask != 0 }

    mutating func apply(_ call: ControlCall) throws(ValidationError) { try outputs.apply(call) }

    func establish() throws(SensorFault) { _ = try exchange() }

    func measure() throws(SensorFault) -> [Measurement] {
        [Measurement(type.select(outputs.values(try exchange())))]
    }
}

/// Which pins of a port expander are outputs, what they are set to, and at which level each is safe. Pins are bits.
struct PortOutputs: Equatable {
    /// Pins by their bits, from bit 0 on.
    let names: [String]
    /// The outputs.
    let mask: UInt16
    /// Their levels when nobody is in charge; 0 for all that is no output.
    let safe: UInt16
    /// What they are set to.
    private(set) var levels: UInt16

    static let functions = [
        ControlFunction(
            name: "set_output",
            parameters: [Field(name: "output", type: .string), Field(name: "high", type: .bool)]),
        ControlFunction(name: "set_outputs", parameters: [Field(name: "levels", type: .int)]),
    ]

    /// Reads `{"p0": "low", "p3": "high"}`: the outputs with their safe levels.
    init(_ reader: DocumentReader?, names: [String]) throws(ValidationError) {
        var mask: UInt16 = 0, safe: UInt16 = 0
        for (name, level) in try reader?.members() ?? [] {
            guard let pin = names.firstIndex(of: name) else {
                throw level.error("there is no such pin, but \(names.joined(separator: ", "))")
            }
            mask |= 1 << pin
            switch try level.string() {
            case "high": safe |= 1 << pin
            case "low": break
            case let other: throw level.error("'\(other.prefix(80))' is neither high nor low")
            }
        }
        self.names = names
        self.mask = mask
        self.safe = safe
        levels = safe
    }

    /// The same with each output at its safe level.
    var madeSafe: PortOutputs {
        var outputs = self
        outputs.levels = safe
        return outputs
    }

    /// As `set_output` and `set_outputs` ask for; the chip has to be told then.
    mutating func apply(_ call: ControlCall) throws(ValidationError) {
        let parameters = DocumentReader(.object(call.parameters))
        guard call.function == "set_output" else {
            let reader = try parameters.required("levels")
            let wanted = UInt16(try reader.int(0...(1 << Int64(names.count)) - 1))
            guard wanted & ~mask == 0 else {
                throw reader.error("has bits of pins that are no outputs: \(list(wanted & ~mask))")
            }
            levels = wanted
            return
        }
        let reader = try parameters.required("output")
        let name = try reader.string()
        guard let pin = names.firstIndex(of: name), mask & 1 << pin != 0 else {
            let others = mask == 0 ? "there are none" : "\(list(mask)) are"
            throw reader.error("'\(name.prefix(80))' is no output; \(others)")
        }
        let isHigh = try parameters.required("high").bool()
        levels = isHigh ? levels | 1 << pin : levels & ~(1 << pin)
    }

    func list(_ pins: UInt16) -> String {
        names.indices.filter { pins & 1 << $0 != 0 }.map { names[$0] }.joined(separator: ", ")
    }

    /// All pins' levels by name.
    func values(_ read: UInt16) -> JSONObject {
        JSONObject(names.indices.map { (names[$0], .bool(read & 1 << $0 != 0)) })
    }
}
