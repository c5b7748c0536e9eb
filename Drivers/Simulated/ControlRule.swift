import SensorKit

/// What a control function does to a simulated sensor: it sets fields.
struct ControlRule {
    enum Source: Hashable {
        case literal(JSON)
        case parameter(String)
    }

    let function: String
    /// By the fields' indices; at least one.
    let settings: [(index: Int, source: Source)]

    /// - Parameter reader: the function's entry in `on_control`, as `{"light": "$on", "mode": "manual"}`. Without one,
    ///   each parameter sets the field of the same name.
    init(_ function: ControlFunction, _ reader: DocumentReader?, fields: [Field]) throws(ValidationError) {
        self.function = function.name
        let path = reader?.path ?? "on_control.\(function.name)"
        var settings: [(Int, Source)] = []
        if let reader {
            for (name, value) in try reader.members() {
                let index = try value.index(of: name, among: fields)
                settings.append((index, try Self.source(value, function, for: fields[index])))
            }
        } else {
            for parameter in function.parameters {
                guard let index = fields.firstIndex(where: { $0.name == parameter.name }) else { continue }
                try Self.check(parameter, fits: fields[index], at: path)
                settings.append((index, .parameter(parameter.name)))
            }
        }
        guard !settings.isEmpty else {
            throw ValidationError(
                path: path,
                "calling '\(function.name)' would change nothing: name the fields that it sets, "
                    + "as {\"\(fields[0].name)\": \(function.parameters.first.map { "\"$\($0.name)\"" } ?? "value")}")
        }
        self.settings = settings
    }

    /// A text that begins with '$' names a parameter.
    private static func source(
        _ reader: DocumentReader, _ function: ControlFunction, for field: Field
    ) throws(ValidationError) -> Source {
        guard let text = reader.value.string, text.hasPrefix("$") else {
            return .literal(try reader.value(for: field))
        }
        let name = String(text.dropFirst())
        guard let parameter = function.parameters.first(where: { $0.name == name }) else {
            let names = function.parameters.map(\.name)
            throw reader.error(
                "'\(function.name)' has no parameter '\(name.prefix(80))'\(didYouMean(name, among: names))")
        }
        try check(parameter, fits: field, at: reader.path)
        return .parameter(name)
    }

    private static func check(_ parameter: Field, fits field: Field, at path: String) throws(ValidationError) {
        guard parameter.type == field.type || (parameter.type, field.type) == (.int, .float) else {
            throw ValidationError(
                path: path,
                "parameter '\(parameter.name)' is \(parameter.type.rawValue), but field '\(field.name)' is "
                    + field.type.rawValue)
        }
    }

    /// - Parameter parameters: known to fit the function.
    func apply(_ parameters: JSONObject, to fields: inout [SimulatedField]) {
        for (index, source) in settings {
            let value: JSON? =
                switch source {
                case .literal(let value): value
                case .parameter(let name): parameters[name]
                }
            if let value { fields[index].override = fields[index].field.stored(value) }
        }
    }
}

extension [ControlRule] {
    /// Reads the attribute `on_control`: `{function: {field: value or "$parameter"}}`.
    init(_ reader: DocumentReader?, type: SensorType) throws(ValidationError) {
        let members = try reader?.members() ?? []
        let names = type.functions.map(\.name)
        for (name, value) in members where !names.contains(name) {
            throw value.error("the type has no function '\(name.prefix(80))'\(didYouMean(name, among: names))")
        }
        self = []
        for function in type.functions {
            let entry = members.first { $0.key == function.name }?.value
            append(try ControlRule(function, entry, fields: type.fields))
        }
    }
}
