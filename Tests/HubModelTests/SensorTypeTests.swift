import HubModel
import SimdJSON
import Testing

/// Reads one item of a document given as text, and tells what is wrong with it.
func fault<Value>(_ text: String, _ read: (DocumentReader) throws -> Value) throws -> String {
    do {
        _ = try read(DocumentReader(try JSON(parsing: text)))
        return "nothing"
    } catch let error as ValidationError {
        return error.description
    }
}

@Suite struct SensorTypeTests {
    static let lamp = """
        {"Name": "lamp", "company": "Acme", "Sensor_data_structure": {"lux": "float", "on": "Bool"},
         "control_functions": {"number_of_functions": 1, "function_details": [
            {"name": "set", "number_of_parameters": 1, "params": [{"name": "on", "type": "bool"}]}]}}
        """

    @Test func aTypeIsReadWhateverTheCaseOfFirstLetters() throws {
        let type = try SensorType(DocumentReader(JSON(parsing: Self.lamp)))
        #expect(type.name.text == "lamp")
        #expect(type.fields == [Field(name: "lux", type: .float), Field(name: "on", type: .bool)])
        #expect(type.functions == [ControlFunction(name: "set", parameters: [Field(name: "on", type: .bool)])])
        #expect(try SensorType(json: type.json) == type)
    }

    @Test func aFileHasAListAnArrayOrOneType() throws {
        for text in [#"{"sensor_type_list": [\#(Self.lamp)]}"#, "[\(Self.lamp)]", Self.lamp] {
            #expect(try SensorType.documents(in: DocumentReader(JSON(parsing: text))).count == 1)
        }
    }

    @Test(arguments: [
        (#"{"name": "a"}"#, "'sensor_data_structure' is missing"),
        (#"{"nam": "a", "sensor_data_structure": {"x": "int"}}"#, "unknown key 'nam' (did you mean 'name'?)"),
        (
            #"{"name": "a b", "sensor_data_structure": {"x": "int"}}"#,
            "name: 'a b' is no id: 1 to 64 letters, digits, '_' or '-'"
        ),
        (
            #"{"name": "a", "sensor_data_structure": {"x": "flot"}}"#,
            "sensor_data_structure.x: 'flot' is no type: string, int, float or bool (did you mean 'float'?)"
        ),
        (#"{"name": "a", "sensor_data_structure": {}}"#, "sensor_data_structure: at least one field is needed"),
        (
            #"{"name": "a", "sensor_data_structure": {"boot": "int"}}"#,
            "sensor_data_structure.boot: the name 'boot' is taken by the hub: choose another"
        ),
        (
            #"{"name": "a", "Name": "b", "sensor_data_structure": {"x": "int"}}"#,
            "'name' and 'Name' say the same thing twice"
        ),
        (
            #"{"name": "a", "sensor_data_structure": {"x": "int"}, "control_functions": {"number_of_functions": 2, "function_details": [{"name": "f"}]}}"#,
            "control_functions.number_of_functions: says 2, but 1 are listed"
        ),
        (
            #"{"name": "a", "sensor_data_structure": {"x": "int"}, "control_functions": [{"name": "f", "params": {"p": 1}}]}"#,
            "control_functions[0].params.p: expected text, found a whole number"
        ),
        ("[]", "expected an object, found a list"),
    ])
    func whatIsWrongIsNamed(_ text: String, _ expected: String) throws {
        #expect(try fault(text) { try SensorType($0) } == expected)
    }
}

@Suite struct SensorInstanceTests {
    let lux = SensorType(name: Identifier("lux")!, fields: [Field(name: "lux", type: .float)])

    private func read(_ text: String) throws -> SensorInstance {
        try SensorInstance(
            DocumentReader(try JSON(parsing: text)), types: { $0 == "lux" ? lux : nil }, typeNames: ["lux"])
    }

    @Test func everyUnknownKeyIsAnAttribute() throws {
        let instance = try read(
            """
            {"sensor_type": "lux", "name": "lux-1", "ip": "10.0.0.1", "port": 80, "no_of_fields": 1, "driver": "simulated",
             "interval": 0.5, "bus-id": 7, "placeholder": "bus"}
            """)
        #expect(instance.attributes == ["ip": "10.0.0.1", "port": 80, "bus-id": 7, "placeholder": "bus"])
        #expect(instance.interval == 0.5)
        #expect(try SensorInstance(json: instance.json) == instance)
    }

    @Test(arguments: [
        (#"{"name": "x"}"#, "'sensor_type' is missing"),
        (#"{"sensor_type": "luxx"}"#, "sensor_type: 'luxx' is not registered (did you mean 'lux'?)"),
        (#"{"sensor_type": "lux", "intervall": 5}"#, "unknown key 'intervall' (did you mean 'interval'?)"),
        (#"{"sensor_type": "lux", "no_of_fields": 3}"#, "no_of_fields: says 3, but type 'lux' has 1"),
        (#"{"sensor_type": "lux", "name": "a.b"}"#, "name: 'a.b' is no id: 1 to 64 letters, digits, '_' or '-'"),
        (#"{"sensor_type": "lux", "interval": 0}"#, "interval: must be from 0.001 to 86400 seconds"),
        (#"{"sensor_type": "lux", "node": "pi"}"#, "node: a node is given, but no 'driver' that it could run"),
    ])
    func whatIsWrongIsNamed(_ text: String, _ expected: String) throws {
        #expect(throws: ValidationError.self) { try read(text) }
        do { _ = try read(text) } catch { #expect("\(error)" == expected) }
    }
}
