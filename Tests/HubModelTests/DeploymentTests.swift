import HubModel
import SimdJSON
import Testing

@Suite struct DeploymentTests {
    private func entry(_ text: String) throws -> DeploymentEntry {
        try DeploymentEntry(DocumentReader(try JSON(parsing: text)))
    }

    @Test func filtersAreMergedAndCountsRead() throws {
        let entry = try entry(
            """
            {"application_id": "bus", "algorithm_name": "light", "environment": {"lang": "Python", "dependencies": [["numpy", "2.0.0"]]},
             "sensor_info": [
                {"sensor_type": "lux", "filter_sensors": [{"placeholder": "bus"}, {"bus_id": 1}]},
                {"sensor_type": "gps", "count": "2-5"}, {"sensor_type": "gps", "count": "all"},
                {"sensor_type": "gps", "count": 3}, {"sensor_type": "gps", "count": {"min": 0, "max": 2}}]}
            """)
        let positions = try #require(entry.positions)
        #expect(positions[0].filter == ["placeholder": "bus", "bus_id": 1])
        #expect(
            positions.map(\.count) == [
                .one, SensorCount(minimum: 2, maximum: 5), SensorCount(minimum: 1, maximum: nil),
                SensorCount(minimum: 3, maximum: 3), SensorCount(minimum: 0, maximum: 2),
            ])
        #expect(entry.requirements == ["numpy==2.0.0"])
        for position in positions { #expect(try PositionQuery(json: position.json) == position) }
    }

    @Test func outputsAreIdsInOrder() throws {
        let start = #"{"application_id": "bus", "algorithm_name": "comfort""#
        #expect(try entry(start + "}").outputs.isEmpty)
        let outputs = try entry(start + #", "output_info": ["comfort-2", "comfort-1"]}"#).outputs
        #expect(outputs.map(\.text) == ["comfort-2", "comfort-1"])
        let position = OutputPosition(sensorType: Identifier("comfort")!, sensor: outputs[0])
        #expect(try OutputPosition(json: position.json) == position)
    }

    @Test(arguments: [
        (#"{"algorithm_name": "a"}"#, "'application_id' is missing"),
        (
            #"{"application_id": "x", "algorithm_name": "a", "output_info": "c-1"}"#,
            "output_info: expected a list, found text"
        ),
        (
            #"{"application_id": "x", "algorithm_name": "a", "output_info": ["c-1", {"sensor": "c-2"}]}"#,
            "output_info[1]: expected text, found an object"
        ),
        (
            #"{"application_id": "x", "algorithm_name": "a", "output_info": ["c 1"]}"#,
            "output_info[0]: 'c 1' is no id: 1 to 64 letters, digits, '_' or '-'"
        ),
        (
            #"{"application_id": "x", "algorithm_name": "a", "output_info": ["c-1", "c-2", "c-1"]}"#,
            "output_info[2]: 'c-1' stands here twice"
        ),
        (
            #"{"application_id": "x", "algorithm_name": "a", "sensor_info": [{"sensor_typ": "lux"}]}"#,
            "sensor_info[0]: unknown key 'sensor_typ' (did you mean 'sensor_type'?)"
        ),
        (
            #"{"application_id": "x", "algorithm_name": "a", "sensor_info": [{"sensor_type": "lux", "count": "5-2"}]}"#,
            "sensor_info[0].count: the range is empty"
        ),
        (
            #"{"application_id": "x", "algorithm_name": "a", "sensor_info": [{"sensor_type": "lux", "filter_sensors": [{"a": 1}, {"a": 2}]}]}"#,
            "sensor_info[0].filter_sensors[1].a: asks for 2, but an earlier filter for 1: no sensor has both"
        ),
        (
            #"{"application_id": "x", "algorithm_name": "a", "environment": {"dependencies": [["--index-url", ""]]}}"#,
            "environment.dependencies[0]: '--index-url' is no PyPI package with a version"
        ),
        (
            #"{"application_id": "x", "algorithm_name": "a", "environment": {"lang": "C#"}}"#,
            "environment.lang: 'C#' is no id: 1 to 64 letters, digits, '_' or '-'"
        ),
        (
            #"{"application_id": "x", "algorithm_name": "a", "scheduling_info": {"start_time": "10:00"}}"#,
            "scheduling_info.start_time: schedules are not possible yet: leave 'start_time' out, and the algorithm starts at once"
        ),
    ])
    func whatIsWrongIsNamed(_ text: String, _ expected: String) throws {
        #expect(try fault(text) { try DeploymentEntry($0) } == expected)
    }

    @Test(arguments: [
        (#"{"1": {}}"#, "'noOfAlgo' is missing"),
        (#"{"noOfAlgo": 2, "1": {}}"#, #"noOfAlgo: says 2, but there is no entry "2""#),
        (#"{"noOfAlgo": 1, "1": {}, "2": {}}"#, "unknown key '2' (did you mean '1'?)"),
    ])
    func numberAndEntriesMustAgree(_ text: String, _ expected: String) throws {
        #expect(try fault(text) { try DeploymentEntry.documents(in: $0) } == expected)
    }
}

@Suite struct AppManifestTests {
    @Test func typesOfInputsAndOutputsKeepTheirOrder() throws {
        let manifest = try AppManifest(
            DocumentReader(
                try JSON(
                    parsing: #"""
                        {"application_id": "x", "application_name": "X", "algorithm_list": [
                            {"algorithm_name": "a", "script": {"name": "a.py"}, "input_sensors": [{"sensor_type": "lux"}],
                             "output_sensors": [{"sensor_type": "comfort"}, {"sensor_type": "alarm"}, {"sensor_type": "comfort"}]},
                            {"algorithm_name": "b", "script": {"name": "b.py"}}]}
                        """#)))
        #expect(manifest.algorithms[0].inputSensors.map(\.text) == ["lux"])
        #expect(manifest.algorithms[0].outputSensors.map(\.text) == ["comfort", "alarm", "comfort"])
        #expect(manifest.algorithms[1].outputSensors.isEmpty)
    }

    @Test(arguments: [
        (
            #"{"application_id": "x", "application_name": "X", "algorithm_list": [{"algorithm_name": "a", "script": {"name": "a.py"}, "output_sensors": [{"sensor_typ": "c"}]}]}"#,
            "algorithm_list[0].output_sensors[0]: unknown key 'sensor_typ' (did you mean 'sensor_type'?)"
        ),
        (
            #"{"application_id": "x", "application_name": "X", "algorithm_list": [{"algorithm_name": "a", "script": {"name": "a.py"}, "output_sensor": []}]}"#,
            "algorithm_list[0]: unknown key 'output_sensor' (did you mean 'output_sensors'?)"
        ),
        (
            #"{"application_id": "x", "application_name": "X", "algorithm_list": []}"#,
            "algorithm_list: at least one algorithm is needed"
        ),
        (
            #"{"application_id": "x", "application_name": "X", "algorithm_list": [{"algorithm_name": "a", "script": {"name": "../a.py"}}]}"#,
            "algorithm_list[0].script.name: '../a.py' is no path inside the app"
        ),
        (
            #"{"application_id": "x", "application_name": "X", "environment": {"modules": ["numpy", "git+https://x"]}, "algorithm_list": []}"#,
            "environment.modules[1]: 'git+https://x' is no PyPI package with a version"
        ),
        (
            #"{"application_id": "x", "application_name": "X", "algorithm_list": [{"algorithm_name": "a", "script": {"name": "a.py"}}, {"algorithm_name": "a", "script": {"name": "b.py"}}]}"#,
            "algorithm_list[1]: the algorithm 'a' stands here twice"
        ),
    ])
    func whatIsWrongIsNamed(_ text: String, _ expected: String) throws {
        #expect(try fault(text) { try AppManifest($0) } == expected)
    }
}
