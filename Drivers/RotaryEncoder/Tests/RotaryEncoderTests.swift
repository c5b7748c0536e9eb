import HardwareSupport
import SensorKit
import TestSupport
import Testing

@testable import Drivers

@Suite struct RotaryEncoderQuadratureTests {
    private func knob(_ phasesPerStep: Int = 4) -> Quadrature {
        Quadrature([false, false], phasesPerStep: phasesPerStep, position: 0)
    }

    /// Edges as letters: capital for closed.
    private func turn(_ knob: inout Quadrature, _ edges: String) {
        for letter in edges {
            knob.add(Edge(line: "Aa".contains(letter) ? 0 : 1, value: letter.isUppercase, time: .now))
        }
    }

    @Test(
        arguments: [
            (4, "ABab", 1), (4, "BAba", -1), (4, "ABabABab", 2), (4, "AB", 0),
            // Bouncing, and half a turn and back.
            (4, "AaAaABab", 1), (4, "ABbBbBab", 1), (4, "ABba", 0), (4, "AaBb", 0),
            (2, "AB", 1), (2, "ABab", 2), (2, "BA", -1), (1, "ABa", 3), (1, "ABb", 1),
        ])
    func position(phasesPerStep: Int, edges: String, position: Int64) {
        var knob = knob(phasesPerStep)
        turn(&knob, edges)
        #expect(knob.position == position)
        #expect(knob.lostEdges == 0)
    }

    @Test func anEdgeThatWasLostAndComesOutLater() {
        var knob = knob()
        // B closed and opened unseen, so it was no turn for certain.
        turn(&knob, "Aba")
        #expect(knob.position == 0)
        #expect(knob.lostEdges == 1)
        turn(&knob, "ABab")
        #expect(knob.position == 1)
    }

    @Test func linesThatSayOtherwise() {
        var knob = knob()
        turn(&knob, "ABa")
        knob.reconcile(with: [false, false])
        #expect(knob.position == 1 && knob.lostEdges == 1)
        knob.reconcile(with: [true, true])
        #expect(knob.position == 1 && knob.lostEdges == 3)
        knob.reconcile(with: [true, true])
        #expect(knob.lostEdges == 3)
    }
}

@Suite struct RotaryEncoderTests {
    private let folder = TemporaryFolder()
    private let hardware = ScriptedHardware()
    // With pull-ups: high is open.
    private let a = ScriptedLine(true)
    private let b = ScriptedLine(true)
    private let button = ScriptedLine(true)

    private func driver(
        _ attributes: JSONObject = [:], fields: [Field] = RotaryEncoderDriver.fields, state: String? = nil
    ) throws -> RotaryEncoderDriver {
        hardware.lines = ["A": a, "B": b, "SW": button]
        var all: JSONObject = ["line_a": "A", "line_b": "B", "button": "SW", "debounce_ms": 0]
        for member in attributes { all[member.key] = member.value }
        return try RotaryEncoderDriver(
            hardware.context(
                fields: fields, functions: RotaryEncoderDriver.functions, attributes: all, stateDirectory: state))
    }

    private func step(up: Bool) {
        let (first, second) = up ? (a, b) : (b, a)
        let start = Instant.now + .milliseconds(-10)
        first.change(to: false, at: start)
        second.change(to: false, at: start + .milliseconds(1))
        first.change(to: true, at: start + .milliseconds(2))
        second.change(to: true, at: start + .milliseconds(3))
    }

    @Test func isTurnedAndPressed() throws {
        var driver = try driver()
        #expect(
            try driver.read().map(\.values) == [["position": 0, "lost_edges": 0, "presses": 0, "pressed": false]])
        #expect(driver.descriptors.count == 2)
        step(up: true)
        #expect(try driver.react().map(\.values["position"]) == [1])
        step(up: false)
        #expect(try driver.react().map(\.values["position"]) == [0])
        button.change(to: false)
        button.change(to: true)
        let pressed = try driver.react().map(\.values)
        #expect(pressed.map { $0["pressed"] } == [true, false])
        #expect(pressed.map { $0["presses"] } == [1, 1])
        #expect(try driver.react().isEmpty)
    }

    @Test func isSet() throws {
        var first = try driver(["keep_position": true], state: folder.path)
        try first.control(ControlCall(id: "1", function: "set_position", parameters: ["position": 40]))
        #expect(try first.read().last?.values["position"] == 40)
        step(up: true)
        _ = try first.react()
        var second = try driver(["keep_position": true], state: folder.path)
        #expect(try second.read().last?.values["position"] == 41)
        var third = try driver(state: folder.path)
        #expect(try third.read().last?.values["position"] == 0)
    }

    @Test func keepsThePositionWhileTheLinesAreGone() throws {
        var driver = try driver()
        _ = try driver.read()
        step(up: true)
        _ = try driver.react()
        a.fault = SensorFault("unplugged")
        #expect(throws: SensorFault.self) { try driver.react() }
        a.fault = nil
        #expect(try driver.read().last?.values["position"] == 1)
    }

    @Test(
        arguments: [
            (["line_b": "A"], "line_b: is the same line as line_a: 'A'"),
            (["phases_per_step": 3], "phases_per_step: 3 is none of 4, 2, 1"),
            (["button": .null], "type.fields.pressed: needs the attribute 'button', the line that the button is at"),
        ] as [(JSONObject, String)])
    func wrongAttributes(attributes: JSONObject, message: String) {
        let error = #expect(throws: ValidationError.self) { try driver(attributes) }
        #expect(error?.description == message)
    }
}
