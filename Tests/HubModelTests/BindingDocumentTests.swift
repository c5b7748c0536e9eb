import HubModel
import SimdJSON
import Testing

@Suite struct BindingDocumentTests {
    private func id(_ text: String) -> Identifier { Identifier(text)! }
    private let topics = Topics(hub: Identifier("main")!)

    private func document(outputs: [BindingDocument.Output]) -> BindingDocument {
        BindingDocument(
            instance: id("a-1"), app: id("app"), algorithm: id("a"), version: 2, reason: "deployed", positions: [],
            outputs: outputs)
    }

    @Test func anOutputSaysWhereToPublishAndWhereTheHubAnswers() throws {
        let type = try SensorType(
            json: JSON(
                parsing:
                    #"{"name": "comfort", "company": "", "fields": {"comfort": "float"}, "functions": []}"#))
        let sensor = BindingDocument.OutputSensor(
            id: id("comfort-1"), type: type, attributes: ["room": "office"], topics: topics)
        let document = document(outputs: [
            .init(sensorType: type.name, sensor: sensor), .init(sensorType: type.name, sensor: nil),
        ])
        #expect(
            document.json["outputs"]
                == (try JSON(
                    parsing: """
                        [{"index": 0, "sensor_type": "comfort", "sensor": {"id": "comfort-1",
                          "data": "sensorhub/main/sensors/comfort-1/data", "fields": {"comfort": "float"}, "functions": [],
                          "attributes": {"room": "office"}, "committed": "sensorhub/main/sensors/comfort-1/committed"}},
                         {"index": 1, "sensor_type": "comfort"}]
                        """)))
        #expect(try BindingDocument(json: document.json) == document)
    }

    @Test func withoutOutputsNothingIsSaidOfThem() throws {
        let document = document(outputs: [])
        #expect(document.json["outputs"] == nil)
        #expect(try BindingDocument(json: document.json) == document)
    }
}
