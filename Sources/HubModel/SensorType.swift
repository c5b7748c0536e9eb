public import SimdJSON

/// The type of a field or of a parameter.
public enum FieldType: String, Sendable, Hashable, CaseIterable {
    case string, int, float, bool

    init(_ reader: DocumentReader) throws(ValidationError) {
        let word = try reader.string()
        guard let type = Self(rawValue: word.lowercased()) else {
            let words = Self.allCases.map(\.rawValue)
            throw reader.error(
                "'\(word.prefix(80))' is no type: string, int, float or bool\(didYouMean(word, among: words))")
        }
        self = type
    }

    /// True where `value` may stand in a field of this type. Null is left to the caller.
    public func accepts(_ value: JSON) -> Bool {
        switch (self, value) {
        case (.string, .string), (.int, .int), (.float, .int), (.float, .double), (.bool, .bool): true
        default: false
        }
    }

    /// What a field of this type takes, for errors.
    public var expectation: String {
        switch self {
        case .string: "text"
        case .int: "a whole number"
        case .float: "a number"
        case .bool: "true or false"
        }
    }
}

/// A named, typed value: a field of a reading or a parameter of a control function.
public struct Field: Sendable, Hashable {
    public let name: String
    public let type: FieldType

    public init(name: String, type: FieldType) {
        self.name = name
        self.type = type
    }

    static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, text.utf8.count <= 63, !(0x30...0x39).contains(first) else { return false }
        return !text.utf8.contains(UInt8(ascii: "-")) && Identifier(text) != nil
    }

    static let nameRule = "1 to 63 letters, digits or '_', not beginning with a digit"
}

/// A function through which a sensor is controlled.
public struct ControlFunction: Sendable, Hashable {
    public let name: String
    public let parameters: [Field]

    public init(name: String, parameters: [Field]) {
        self.name = name
        self.parameters = parameters
    }
}

/// What all sensors of a kind have in common: the fields of their readings and the functions that control them.
public struct SensorType: Sendable, Hashable {
    public let name: Identifier
    public let company: String
    /// In the order of the registration.
    public let fields: [Field]
    public let functions: [ControlFunction]

    public init(name: Identifier, company: String = "", fields: [Field], functions: [ControlFunction] = []) {
        self.name = name
        self.company = company
        self.fields = fields
        self.functions = functions
    }

    /// Names that a reading's table and view need for themselves, and PostgreSQL's system columns.
    public static let reservedFieldNames = [
        "instance_id", "event_time", "boot", "seq", "received_at", "sensor", "attributes",
        "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid",
    ]

    /// PostgreSQL allows 1,600 columns; a sensor that needs more than this is several sensors.
    public static let maximumFields = 500

    public func field(_ name: String) -> Field? {
        fields.first { $0.name == name }
    }

    public func function(_ name: String) -> ControlFunction? {
        functions.first { $0.name == name }
    }
}

extension SensorType {
    /// Splits `sensorTypeRegistration.json` into its types: `{"sensor_type_list": […]}`, an array, or a single type.
    public static func documents(in reader: DocumentReader) throws(ValidationError) -> [DocumentReader] {
        if reader.value.array != nil { return try reader.items() }
        guard let list = try reader.optional("sensor_type_list") else { return [reader] }
        try reader.allowOnly(["sensor_type_list"])
        return try list.items()
    }

    /// Reads one type of `sensorTypeRegistration.json`.
    public init(_ reader: DocumentReader) throws(ValidationError) {
        try reader.allowOnly(["name", "company", "sensor_data_structure", "control_functions"])
        name = try reader.required("name").identifier()
        company = try reader.optional("company")?.string() ?? ""
        let structure = try reader.required("sensor_data_structure")
        fields = try Self.fields(structure)
        for (field, member) in zip(fields, try structure.members()) where Self.reservedFieldNames.contains(field.name) {
            throw member.value.error("the name '\(field.name)' is taken by the hub: choose another")
        }
        functions = try reader.optional("control_functions").map(Self.functions) ?? []
    }

    /// `{name: type}`, in order.
    static func fields(_ reader: DocumentReader) throws(ValidationError) -> [Field] {
        let members = try reader.members()
        guard !members.isEmpty else { throw reader.error("at least one field is needed") }
        guard members.count <= maximumFields else {
            throw reader.error("\(members.count) fields are more than the \(maximumFields) that a type can have")
        }
        var fields: [Field] = []
        for (key, value) in members {
            guard Field.isName(key) else {
                throw value.error("'\(key.prefix(80))' is no field name: \(Field.nameRule)")
            }
            fields.append(Field(name: key, type: try FieldType(value)))
        }
        return fields
    }

    static func functions(_ reader: DocumentReader) throws(ValidationError) -> [ControlFunction] {
        let details: DocumentReader
        if reader.value.array != nil {
            details = reader
        } else {
            try reader.allowOnly(["number_of_functions", "function_details"])
            guard let given = try reader.optional("function_details") else {
                guard try reader.optional("number_of_functions")?.int() ?? 0 == 0 else {
                    throw reader.error("'function_details' is missing")
                }
                return []
            }
            details = given
            try check(try reader.optional("number_of_functions"), against: try details.items().count)
        }
        var functions: [ControlFunction] = []
        for item in try details.items() {
            let function = try self.function(item)
            guard !functions.contains(where: { $0.name == function.name }) else {
                throw item.error("the function '\(function.name)' stands here twice")
            }
            functions.append(function)
        }
        return functions
    }

    private static func function(_ reader: DocumentReader) throws(ValidationError) -> ControlFunction {
        try reader.allowOnly(["name", "number_of_parameters", "params"])
        let name = try reader.required("name").identifier()
        let parameters = try reader.optional("params").map(self.parameters) ?? []
        try check(try reader.optional("number_of_parameters"), against: parameters.count)
        return ControlFunction(name: name.text, parameters: parameters)
    }

    /// `[{"name", "type"}]` or `{name: type}`.
    private static func parameters(_ reader: DocumentReader) throws(ValidationError) -> [Field] {
        if let object = reader.value.object { return object.isEmpty ? [] : try fields(reader) }
        var parameters: [Field] = []
        for item in try reader.items() {
            try item.allowOnly(["name", "type"])
            let nameReader = try item.required("name")
            let name = try nameReader.string()
            guard Field.isName(name) else {
                throw nameReader.error("'\(name.prefix(80))' is no parameter name: \(Field.nameRule)")
            }
            guard !parameters.contains(where: { $0.name == name }) else {
                throw nameReader.error("the parameter '\(name)' stands here twice")
            }
            parameters.append(Field(name: name, type: try FieldType(item.required("type"))))
        }
        return parameters
    }

    private static func check(_ number: DocumentReader?, against count: Int) throws(ValidationError) {
        guard let number, try number.int() != Int64(count) else { return }
        throw number.error("says \(try number.int()), but \(count) are listed")
    }
}

extension SensorType {
    /// The type as the hub's replies and the agent's plans have it.
    public var json: JSON {
        ["name": .string(name.text), "company": .string(company), "fields": fields.json, "functions": functions.json]
    }

    /// Reads `json` back; for peers that got it from the hub.
    public init(json: JSON) throws(ValidationError) {
        let reader = DocumentReader(json)
        name = try reader.required("name").identifier()
        company = try reader.required("company").string()
        fields = try Self.fields(try reader.required("fields"))
        functions = try Self.functions(try reader.required("functions"))
    }
}

extension [Field] {
    /// `{name: type}`
    public var json: JSON {
        .object(JSONObject(map { ($0.name, .string($0.type.rawValue)) }))
    }
}

extension [ControlFunction] {
    /// `[{"name", "params": [{"name", "type"}]}]`
    public var json: JSON {
        .array(
            map { function in
                [
                    "name": .string(function.name),
                    "params": .array(
                        function.parameters.map {
                            ["name": .string($0.name), "type": .string($0.type.rawValue)]
                        }),
                ]
            })
    }
}
