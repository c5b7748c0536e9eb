import HubModel
import SimdJSON
import Testing

@testable import Hub

private func parse(_ text: String) throws -> JSON { try YAML(parsing: text).json }

@Test(arguments: [
    ("", "{}"),
    (
        "---\na: 1\nb: 1.5\nc: true\nd: no\ne:\nf: ~\ng: word # comment\nh: 'it''s # not'\n",
        #"{"a": 1, "b": 1.5, "c": true, "d": false, "e": null, "f": null, "g": "word", "h": "it's # not"}"#
    ),
    ("a: \"tab\\t \\u00e9 \\\" # no\"", #"{"a": "tab\t é \" # no"}"#),
    ("url: http://x.y:80/z\ntime: 10:30", #"{"url": "http://x.y:80/z", "time": "10:30"}"#),
    (
        "params:\n  - name: a\n    type: int\n  - name: b\n",
        #"{"params": [{"name": "a", "type": "int"}, {"name": "b"}]}"#
    ),
    (
        "params:\n- name: a\n  type: int\n- name: b\nafter: 1\n",
        #"{"params": [{"name": "a", "type": "int"}, {"name": "b"}], "after": 1}"#
    ),
    ("- 1\n- - 2\n  - 3\n-\n  a: b\n", #"[1, [2, 3], {"a": "b"}]"#),
    ("tags: [a, 'b c', 1, {d: e}, []]\nnext: {}", #"{"tags": ["a", "b c", 1, {"d": "e"}, []], "next": {}}"#),
    ("tags: [a,\n  b, # why\n  c]\nnext: 1", #"{"tags": ["a", "b", "c"], "next": 1}"#),
    (#"{"name": "x", "tags": ["a"]}"#, #"{"name": "x", "tags": ["a"]}"#),
    ("text: |\n  one\n    two\n\n  three # stays\nnext: 1", #"{"text": "one\n  two\n\nthree # stays\n", "next": 1}"#),
    ("text: >-\n  one\n  two\n", #"{"text": "one two"}"#),
    ("\"quoted key\": 1\r\nb: 2\r\n", #"{"quoted key": 1, "b": 2}"#),
    ("just words", #""just words""#), ("a: -", #"{"a": "-"}"#),
    ("a: -1\nb: .inf\nc: 0x1f", #"{"a": -1, "b": ".inf", "c": "0x1f"}"#),
    ("a: it's\nb: x#y", #"{"a": "it's", "b": "x#y"}"#),
])
func whatYAMLSays(text: String, json: String) throws {
    #expect(try parse(text) == JSON(parsing: json))
}

@Test func aVersionStaysAsItIsWritten() throws {
    guard case .mapping(let members) = try YAML(parsing: "version: 1.10") else { return #expect(Bool(false)) }
    #expect(members[0].value.text == "1.10")
}

@Test(arguments: [
    ("a: 1\na: 2", "line 2: 'a' stands there twice"), ("a: &x 1", "line 1: '&x 1': put such a value in quotes"),
    ("a: *x", "line 1: '*x': put such a value in quotes"), ("a: !!python/object x", "put such a value in quotes"),
    ("a: [1, 2", "line 1: a bracket or quote is not closed"), ("a: 'x", "line 1: a bracket or quote is not closed"),
    ("a: [1] x", "line 1: 'x' stands after the end"), ("a: 1\n  b: 2", "line 2: goes on in the line before"),
    ("a:\n  - 1\n b: 2", "line 3: "), ("- 1\nb: 2", "line 2: is neither"),
    ("a: 1\n---\nb: 2", "line 2: only one document"),
    ("a:\n\tb: 1", "line 2: tabs cannot indent"), ("a: \"\\q\"", "is no escape"), ("a: \"\\x00\"", "is no character"),
    ("a: {b: 1, b: 2}", "'b' stands there twice"), ("\u{1}", "control characters"),
    (String(repeating: "[", count: 200), "nested too deeply"),
    (String(repeating: "- ", count: 200) + "a", "nested too deeply"),
    (String(repeating: "x", count: 70_000), "larger than 64 KiB"), ("a: |2\n   x", "put such a value in quotes"),
])
func whatIsRefusedAsYAML(text: String, reason: String) {
    let error = #expect(throws: ValidationError.self) { try YAML(parsing: text) }
    #expect(error?.description.contains(reason) == true, "\(String(describing: error))")
}

/// Nothing that a stranger sends may end the hub.
@Test func anyTextIsReadOrRefused() {
    let pieces = ["a", ":", " ", "-", "\n", "[", "]", "{", "}", ",", "'", "\"", "#", "|", ">", "\\", "  ", "é", "1"]
    var random = SystemRandomNumberGenerator()
    for _ in 0..<20_000 {
        let text = (0..<Int.random(in: 1...24, using: &random)).map { _ in pieces.randomElement(using: &random)! }
            .joined()
        _ = try? YAML(parsing: text)
    }
}
