import HubModel
import SimdJSON
import Testing

@testable import Hub

private func parse(_ text: String) throws -> JSON { try YAML(parsing: Array(text.utf8)).json }

private func expectRefusal(_ bytes: [UInt8], _ reason: String) {
    let error = #expect(throws: ValidationError.self) { try YAML(parsing: bytes) }
    #expect(error?.description.contains(reason) == true, "\(String(describing: error))")
}

@Test(arguments: [
    ("", "{}"), ("# nothing\n \n", "{}"), ("---", "null"), ("---\na: 1\n...\n", #"{"a": 1}"#),
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
    ("just words", #""just words""#), ("a: one\n  two", #"{"a": "one two"}"#), ("? a\n: b", #"{"a": "b"}"#),
    ("a: |2\n   x", #"{"a": " x"}"#), ("a: 1\rb: 2\r", #"{"a": 1, "b": 2}"#),
    ("\u{feff}a: 1", #"{"a": 1}"#), ("\u{feff}", "{}"), ("%YAML 1.2\n---\na: 1", #"{"a": 1}"#),
    ("<<: {a: 1}", #"{"<<": {"a": 1}}"#),
    ("a: -1\nb: .inf\nc: 0x1f", #"{"a": -1, "b": ".inf", "c": "0x1f"}"#),
    ("a: it's\nb: x#y", #"{"a": "it's", "b": "x#y"}"#),
])
func whatYAMLSays(text: String, json: String) throws {
    #expect(try parse(text) == JSON(parsing: json))
}

@Test func aVersionStaysAsItIsWritten() throws {
    let version = try YAML(parsing: Array("version: 1.10".utf8))
    #expect(version == .mapping([YAML.Member(key: "version", value: .plain("1.10"))]))
}

@Test func whatIsInQuotesIsText() throws {
    let items = try YAML(parsing: Array("[1, '1', \"1\", ~, '~', yes, 'yes', '']".utf8))
    #expect(
        items
            == .sequence([
                .plain("1"), .quoted("1"), .quoted("1"), .plain("~"), .quoted("~"), .plain("yes"), .quoted("yes"),
                .quoted(""),
            ]))
    #expect(items.json == [1, "1", "1", nil, "~", true, "yes", ""])
    #expect(try YAML(parsing: Array("|-\n 1".utf8)) == .quoted("1"))
}

@Test(arguments: [
    ("!!str 10", #""10""#), ("! 10", #""10""#), ("!<tag:yaml.org,2002:str> 10", #""10""#), ("!!int '7'", "7"),
    ("!!float 1.5", "1.5"), ("!!float 1", "1"), ("!!bool on", "true"), ("!!null ''", "null"),
    ("!!seq [1]", "[1]"), ("!!map {!!str a: 1}", #"{"a": 1}"#),
    ("%TAG !y! tag:yaml.org,2002:\n---\n!y!str 1", #""1""#),
])
func tagsOfTheCoreSchema(text: String, json: String) throws {
    #expect(try parse(text) == JSON(parsing: json))
}

@Test(arguments: [
    ("!!int x", "!!int"), ("!!int 1.5", "!!int"), ("!!bool 1", "!!bool"), ("!!float one", "!!float"),
    ("!!null 0", "!!null"), ("!!seq {}", "!!seq"), ("!!map []", "!!map"), ("!!str []", "!!str"), ("!!seq a", "!!seq"),
    ("!!set {a}", "!!set"), ("!!binary eA==", "!!binary"), ("!!python/object x", "!!python/object"), ("!x y", "!x"),
    ("{!x a: 1}", "!x"), ("[!x {}]", "!x"), ("%TAG !! tag:x,2002:\n---\n!!str 1", "tag:x,2002:str"),
])
func tagsThatAreRefused(text: String, tag: String) {
    expectRefusal(Array(text.utf8), ": the tag '\(tag)' does not go with this value")
}

@Test(arguments: [
    ("a: 1\na: 2", "line 2: 'a' stands there twice"), ("a: {b: 1, b: 2}", "line 1: 'b' stands there twice"),
    ("a: 1\r\nb: 2\r\nb: 3", "line 3: 'b' stands there twice"),
    ("\"\\u00e9\": 1\n\"e\\u0301\": 2", "line 2: 'é' stands there twice"),
    ("a: &x 1", "line 1: '&x' would be an anchor: put such a value in quotes"),
    ("b: 1\na: &x [1]", "line 2: '&x' would be an anchor"), ("&x a: 1", "'&x' would be an anchor"),
    ("a: {b: &x {}}", "'&x' would be an anchor"),
    ("a: *x", "line 1: '*x' would be an alias: put such a value in quotes"), ("*x : 1", "'*x' would be an alias"),
    ("<<: *x", "'*x' would be an alias"), ("glob: *.py", "put such a value in quotes"),
    ("a: @x", "line 1: found character that cannot start any token"), ("a: %x", "put such a value in quotes"),
    ("a: b: c", "line 1: mapping values are not allowed in this context: put such a value in quotes"),
    ("a: [1, 2\n", "line 2: did not find expected ',' or ']' while parsing a flow sequence that begins in line 1"),
    ("b: 1\na: 'x\nc: 2", "while scanning a quoted scalar that begins in line 2"),
    ("a: \"x", "line 1: found unexpected end of stream"), ("a: \"x\\", "line 1: "), ("a: ]", "line 1: "),
    ("a: [1] x", "line 1: did not find expected key"), ("a: -", "line 1: "), ("a: 1\n  b: 2", "line 2: "),
    ("a:\n  - 1\n b: 2", "line 3: "), ("- 1\nb: 2", "line 2: did not find expected '-'"),
    ("a: 1\n---\nb: 2", "line 2: only one document"), ("a: 1\n...\n---\n", "only one document"),
    ("---\n---", "line 2: only one document"), ("%YAML 2.0\n---\na: 1", "line 1: found incompatible YAML document"),
    ("[a]: 1", "line 1: a key is text"), ("? {a: 1}\n: 1", "line 1: a key is text"),
    ("a:\n\tb: 1", "line 2: found character that cannot start any token"), ("a:\n\tb: 1", ": tabs cannot indent"),
    ("a:\n  b: 1\n\tc: 2", "line 3: "),
    ("a: \"\\q\"", "unknown escape character"), ("a: \"\\ud800\"", "invalid Unicode character"),
    ("a: \"\\x00\"", "line 1: a text cannot have the character 0"), ("\"\\0\": 1", "cannot have the character 0"),
])
func whatIsRefusedAsYAML(text: String, reason: String) {
    expectRefusal(Array(text.utf8), reason)
}

private let noText: [([UInt8], String)] = [
    ([0], "line 1: is no text in UTF-8: control characters are not allowed"),
    (Array("a: 1\nb: \0".utf8), "line 2: is no text in UTF-8: control characters"),
    (Array("a: 1\nb: 'x\0y'".utf8), "line 2: is no text in UTF-8: control characters"),
    (Array("\u{1b}[31m".utf8), "control characters"), (Array("a: \u{7f}".utf8), "control characters"),
    (Array("a: 1\nb: ".utf8) + [0xc3, 0x28], "line 2: is no text in UTF-8: invalid trailing"),
    (Array("a: 1\nb: ".utf8) + [0xc3], "line 2: is no text in UTF-8: incomplete"),
    ([0x80], "line 1: is no text in UTF-8: invalid leading"),
    // Too long for what it stands for, a surrogate, beyond the last character.
    ([0xc0, 0x80], "is no text in UTF-8"), ([0xed, 0xa0, 0x80], "is no text in UTF-8"),
    ([0xf4, 0x90, 0x80, 0x80], "is no text in UTF-8"),
    // UTF-16 with its byte order marks.
    ([0xff, 0xfe, 0x61, 0], "line 1: is no text in UTF-8"), ([0xfe, 0xff, 0, 0x61], "line 1: is no text in UTF-8"),
]

@Test(arguments: noText)
func whatIsNoText(bytes: [UInt8], reason: String) {
    expectRefusal(bytes, reason)
}

@Test func theSizeIsBounded() throws {
    let most = [UInt8](repeating: UInt8(ascii: "x"), count: 65_536)
    #expect(try YAML(parsing: most).text?.utf8.count == 65_536)
    expectRefusal(most + [UInt8(ascii: "x")], "larger than 64 KiB")
}

@Test func theDepthIsBounded() throws {
    func nested(_ open: String, _ close: String, _ count: Int) -> [UInt8] {
        Array((String(repeating: open, count: count) + String(repeating: close, count: count)).utf8)
    }
    #expect(throws: Never.self) { try YAML(parsing: nested("[", "]", 16)) }
    expectRefusal(nested("[", "]", 17), "line 1: is nested too deeply")
    #expect(throws: Never.self) { try YAML(parsing: nested("{a: ", "}", 15)) }
    expectRefusal(nested("{a: ", "}", 16), "line 1: is nested too deeply")
    expectRefusal(nested("[", "", 65_536), "line 1: is nested too deeply")
    expectRefusal(nested("- ", "", 32_768), "line 1: is nested too deeply")
    expectRefusal(nested("? ", "", 32_768), "line 1: is nested too deeply")
    let blocks = (0..<200).map { String(repeating: " ", count: $0) + "a:\n" }.joined()
    expectRefusal(Array(blocks.utf8), "line 16: is nested too deeply")
}

@Test func laughsDoNotMultiply() {
    var laughs = "a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
    for (name, before) in zip("bcdefghi", "abcdefgh") {
        laughs += "\(name): &\(name) [\(Array(repeating: "*\(before)", count: 9).joined(separator: ","))]\n"
    }
    expectRefusal(Array(laughs.utf8), "line 1: '&a' would be an anchor")
    let unanchored = laughs.split(separator: "\n").dropFirst().joined(separator: "\n").replacing("&b", with: "")
    expectRefusal(Array(unanchored.utf8), "line 1: '*a' would be an alias")
}

private func texts(of value: YAML) -> [String] {
    switch value {
    case .plain(let text), .quoted(let text): [text]
    case .sequence(let items): items.flatMap(texts)
    case .mapping(let members): members.flatMap { [$0.key] + texts(of: $0.value) }
    }
}

/// Nothing that a stranger sends may end the hub.
@Test func anyBytesAreReadOrRefused() {
    let words = [
        "a", ":", " ", "-", "\n", "[", "]", "{", "}", ",", "'", "\"", "#", "|", ">", "\\", "  ", "é", "1", "&", "*",
        "!", "!!str", "%TAG ! x", "?", "---", "...", "\t", "\r\n", "\r", "\u{feff}", "\u{2028}", "\0", "\\u0000",
        "\"\\0\"", "<<",
    ]
    let pieces = words.map { Array($0.utf8) } + [[0x80], [0xc3], [0xff]]
    for _ in 0..<20_000 {
        let bytes = (0..<Int.random(in: 1...24)).flatMap { _ in pieces.randomElement()! }
        guard let value = try? YAML(parsing: bytes) else { continue }
        #expect(!texts(of: value).contains { $0.unicodeScalars.contains("\0") }, "\(bytes)")
    }
}
