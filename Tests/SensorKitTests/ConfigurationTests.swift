import MQTT
import TestSupport
import Testing

@testable import SensorKit

private let document: JSON = [
    "driver": "scripted",
    "type": ["name": "lamp", "company": "", "fields": ["lux": "float"], "functions": []],
    "instance": [
        "name": "lamp-1", "type": "lamp", "driver": "scripted", "node": nil, "interval": 0.5,
        "attributes": ["room": "hall"],
    ],
]

private func changed(_ part: String, _ key: String, _ value: JSON) -> JSON {
    var object = document.object!
    var inner = object[part]!.object!
    inner[key] = value
    object[part] = .object(inner)
    return .object(object)
}

@Suite struct DriverConfigurationTests {
    @Test func readsTheDocument() throws {
        let configuration = try DriverConfiguration(DocumentReader(document))
        #expect(configuration.driver == "scripted")
        #expect(configuration.name.text == "lamp-1")
        #expect(configuration.instance.attributes == ["room": "hall"])
        #expect(configuration.type.fields == [Field(name: "lux", type: .float)])
    }

    @Test(arguments: [
        (changed("instance", "name", nil), "instance: 'name' is missing"),
        (changed("instance", "type", "lump"), "instance.type: is 'lump', but the type given is 'lamp'"),
        (changed("instance", "interval", 0), "instance.interval: must be from 0.001 to 86400 seconds, is 0.0"),
        (changed("instance", "interval", "x"), "instance.interval: expected a number, found text"),
        (changed("type", "fields", ["lux": "flot"]), "type.fields.lux: 'flot' is no type: "),
        (["driver": "a", "typ": [:]] as JSON, "unknown key 'typ' (did you mean 'type'?)"),
    ])
    func namesThePlaceOfAMistake(document: JSON, message: String) {
        do {
            _ = try DriverConfiguration(DocumentReader(document))
            Issue.record("was taken")
        } catch {
            #expect(error.description.hasPrefix(message), "\(error)")
        }
    }

    @Test func namesTheDriversThatThereAre() throws {
        let configuration = try DriverConfiguration(DocumentReader(document))
        #expect(try configuration.driver(among: [ScriptedDriver.self]).name == "scripted")
        #expect(
            throws: ValidationError(path: "driver", "there is no driver 'scripted', but other")
        ) { try configuration.driver(among: [OtherDriver.self]) }
    }

    @Test func refusesAFileThatIsTooLargeOrNotThere() throws {
        let folder = TemporaryFolder()
        #expect(throws: FileError("\(folder.path)/none", 2)) {
            try DriverConfiguration(file: "\(folder.path)/none")
        }
        try folder.write("large", String(repeating: " ", count: 1 << 20 + 1))
        #expect(throws: FileError("\(folder.path)/large", 27)) {
            try DriverConfiguration(file: "\(folder.path)/large")
        }
    }
}

@Suite struct DriverEnvironmentTests {
    private let id = Identifier("lamp-1")!

    @Test func hasDefaults() throws {
        let environment = try DriverEnvironment(instance: id) { $0 == "SENSORHUB_USER" ? "" : nil }
        #expect(environment.hub.text == "main")
        #expect(environment.broker == .tcp(TCPAddress(host: "localhost", port: 1883)))
        #expect(environment.user == "lamp-1" && environment.password.isEmpty && environment.stateDirectory == nil)
    }

    @Test(arguments: ["SENSORHUB_HUB", "SENSORHUB_BROKER"])
    func namesTheVariableAtFault(name: String) {
        do {
            _ = try DriverEnvironment(instance: id) { $0 == name ? "a b://" : nil }
            Issue.record("was taken")
        } catch {
            #expect(error.path == name)
        }
    }
}

@Suite struct DriverContextTests {
    private func context(_ fields: [Field], functions: [ControlFunction] = [], log: Log = .standard) -> DriverContext {
        DriverContext(
            instance: Identifier("a")!, type: SensorType(name: Identifier("t")!, fields: fields, functions: functions),
            attributes: ["room": 1, "simulat": 2], log: log)
    }

    private let offered = [Field(name: "lux", type: .float), Field(name: "count", type: .int)]

    @Test func aTypeMayHaveSomeOfTheFields() throws {
        try context([Field(name: "count", type: .int)]).requireFields(offered)
        try context([Field(name: "count", type: .float)]).requireFields(offered)
    }

    @Test(arguments: [
        (
            Field(name: "luxx", type: .float),
            "type.fields.luxx: this driver has no such field, but lux, count (did you mean 'lux'?)"
        ),
        (Field(name: "lux", type: .int), "type.fields.lux: is float with this driver, not int"),
    ])
    func refusesAFieldThatItCannotDeliver(field: Field, message: String) {
        #expect { try context([field]).requireFields(offered) } throws: { "\($0)" == message }
    }

    @Test func refusesFunctionsWhereTheDriverHasNone() throws {
        try context([]).requireNoFunctions()
        let function = ControlFunction(name: "set", parameters: [])
        #expect(throws: ValidationError.self) { try context([], functions: [function]).requireNoFunctions() }
    }

    @Test func warnsOfAnAttributeThatIsNearlyOneOfTheDrivers() {
        let lines = Lines()
        context([], log: lines.log).warnOfSimilarAttributes(to: ["simulate"])
        #expect(lines.all == ["attribute 'simulat' means nothing to this driver (did you mean 'simulate'?)"])
    }
}

@Suite struct MeasurementTests {
    private let type = SensorType(
        name: Identifier("t")!, fields: [Field(name: "lux", type: .float), Field(name: "count", type: .int)])

    @Test func leavesOutWhatIsNoValue() throws {
        #expect(try Measurement(["lux": .double(.nan), "count": nil]).checked(against: type) == [:])
        #expect(try Measurement(["lux": 1, "count": 2]).checked(against: type) == ["lux": 1, "count": 2])
    }

    @Test(arguments: [["lx": 1], ["count": 1.5], ["lux": "1"]] as [JSONObject])
    func refusesWhatTheHubCouldNotStore(values: JSONObject) {
        #expect(throws: SensorFault.self) { try Measurement(values).checked(against: type) }
    }
}

@Suite struct SensorStatusTests {
    @Test func saysWhatTheTopicIsToSay() {
        #expect(SensorStatus.online.json(time: 5) == ["status": "online", "t": 5])
        #expect(SensorStatus.connectionLost.json(time: nil) == ["status": "offline", "reason": "connection lost"])
        let long = SensorStatus.fault(String(repeating: "x", count: 10_000)).json(time: 5)
        #expect(long["status"] == "fault" && long["reason"]?.string?.count == 500)
    }
}

@Suite struct LogTests {
    @Test func aLineIsALine() {
        let lines = Lines()
        lines.log.info("a\nb\u{1B}[2J" + String(repeating: "x", count: 5_000))
        #expect(lines.all[0].hasPrefix("a b [2Jxxx"))
        #expect(lines.all[0].count == 2_000)
    }
}
