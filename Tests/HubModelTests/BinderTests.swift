import HubModel
import SimdJSON
import Testing

@Suite struct BinderTests {
    private func id(_ text: String) -> Identifier { Identifier(text)! }

    private func sensor(_ name: String, _ type: String, _ attributes: JSONObject = [:]) -> Candidate {
        Candidate(id: id(name), type: id(type), attributes: attributes)
    }

    private func names(_ binding: [[Identifier]]) -> [[String]] { binding.map { $0.map(\.text) } }

    private var buses: [Candidate] {
        [
            sensor("gps-1", "gps", ["bus": 1]), sensor("gps-2", "gps", ["bus": 2]), sensor("lux-1", "lux", ["bus": 1]),
            sensor("gps-3", "gps", ["bus": 2, "spare": true]),
        ]
    }

    @Test func typeAndAllFiltersMustMatch() {
        let query = PositionQuery(sensorType: id("gps"), filter: ["bus": 2, "spare": true])
        #expect(names(Binder.bind([query], to: buses)) == [["gps-3"]])
        let typed = PositionQuery(sensorType: id("gps"), filter: ["bus": "2"])
        #expect(names(Binder.bind([typed], to: buses)) == [[]])
    }

    @Test func theEarliestRegisteredComesFirstAndNoneTwice() {
        let any = PositionQuery(sensorType: id("gps"))
        #expect(names(Binder.bind([any, any], to: buses)) == [["gps-1"], ["gps-2"]])
    }

    @Test func countsTakeAsManyAsTheyMay() {
        let all = PositionQuery(sensorType: id("gps"), count: SensorCount(minimum: 1, maximum: nil))
        let some = PositionQuery(sensorType: id("gps"), count: SensorCount(minimum: 1, maximum: 2))
        #expect(names(Binder.bind([all], to: buses)) == [["gps-1", "gps-2", "gps-3"]])
        #expect(names(Binder.bind([some], to: buses)) == [["gps-1", "gps-2"]])
    }

    @Test func whatIsBoundStaysBound() {
        let any = PositionQuery(sensorType: id("gps"))
        #expect(names(Binder.bind([any], to: buses, current: [[id("gps-3")]])) == [["gps-3"]])
    }

    @Test func aSensorThatIsGoneIsReplaced() {
        let query = PositionQuery(sensorType: id("gps"), filter: ["bus": 2])
        let left = buses.filter { $0.id.text != "gps-2" }
        #expect(names(Binder.bind([query], to: left, current: [[id("gps-2")]])) == [["gps-3"]])
    }

    @Test func aNewSensorJoinsAPositionThatHasRoom() {
        let all = PositionQuery(sensorType: id("gps"), count: SensorCount(minimum: 1, maximum: nil))
        let more = buses + [sensor("gps-4", "gps")]
        let before = [[id("gps-2"), id("gps-1"), id("gps-3")]]
        #expect(names(Binder.bind([all], to: more, current: before)) == [["gps-2", "gps-1", "gps-3", "gps-4"]])
    }

    @Test func aShortageNamesThePositionAndHowManyThereAre() throws {
        let query = PositionQuery(sensorType: id("gps"), filter: ["bus": 2], count: SensorCount(minimum: 3, maximum: 3))
        let queries = [PositionQuery(sensorType: id("lux")), query]
        let binding = Binder.bind(queries, to: buses)
        let shortage = try #require(Binder.shortage(of: queries, in: binding, among: buses))
        #expect(shortage.description == #"position 1 needs 3 of type 'gps' with {"bus":2}, 2 found"#)
        #expect(Binder.shortage(of: [queries[0]], in: [binding[0]], among: buses) == nil)
    }
}
