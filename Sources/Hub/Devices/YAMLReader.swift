import CYAML
import HubModel

/// Makes a `YAML` of libyaml's events. The parser and its input are the caller's.
struct YAMLReader {
    let parser: UnsafeMutablePointer<yaml_parser_t>
    let input: UnsafeBufferPointer<UInt8>

    /// One of libyaml's events, copied.
    private struct Event {
        enum Kind {
            case documentStart, streamEnd, sequenceStart, mappingStart
            /// The end of a sequence, of a mapping or of the document.
            case end
            case scalar(String, isPlain: Bool)
            case alias(String)
        }

        let kind: Kind
        let line: Int
        var anchor: String?
        /// In full, as `tag:yaml.org,2002:str`.
        var tag: String?

        func error(_ reason: String) -> ValidationError { YAMLReader.error(reason, line: line) }
    }

    /// Nothing at all is an empty mapping.
    func document() throws(ValidationError) -> YAML {
        var document: YAML?
        while true {
            let event = try next()
            switch event.kind {
            case .streamEnd: return document ?? .mapping([])
            case .documentStart:
                guard document == nil else { throw event.error("only one document is possible") }
                document = try node(try next(), depth: 0)
            default: break
            }
        }
    }

    // MARK: Nodes

    private func node(_ event: Event, depth: Int) throws(ValidationError) -> YAML {
        guard depth < YAML.maximumDepth else { throw event.error("is nested too deeply") }
        if let anchor = event.anchor {
            throw event.error("'&\(anchor.prefix(40))' would be an anchor: put such a value in quotes")
        }
        switch event.kind {
        case .scalar(let text, let isPlain): return try scalar(text, isPlain: isPlain, event)
        case .sequenceStart:
            try check(event, is: "seq")
            var items: [YAML] = []
            while let item = try nextInside() { items.append(try node(item, depth: depth + 1)) }
            return .sequence(items)
        case .mappingStart:
            try check(event, is: "map")
            var members: [YAML.Member] = []
            var keys: Set<String> = []
            while let item = try nextInside() {
                guard let key = try node(item, depth: depth + 1).text else { throw item.error("a key is text") }
                guard keys.insert(key).inserted else { throw item.error("'\(key.prefix(80))' stands there twice") }
                members.append(YAML.Member(key: key, value: try node(try next(), depth: depth + 1)))
            }
            return .mapping(members)
        case .alias(let name):
            throw event.error("'*\(name.prefix(40))' would be an alias: put such a value in quotes")
        case .documentStart, .streamEnd, .end: throw event.error("a value is missing")
        }
    }

    /// Nil at the end of the sequence or mapping.
    private func nextInside() throws(ValidationError) -> Event? {
        let event = try next()
        if case .end = event.kind { return nil }
        return event
    }

    // MARK: Tags

    private static let coreTags = "tag:yaml.org,2002:"

    /// A tag of YAML's own schema has to say what the value is anyway, save that `!!str` is as good as quotes.
    private func scalar(_ text: String, isPlain: Bool, _ event: Event) throws(ValidationError) -> YAML {
        guard let tag = event.tag else { return isPlain ? .plain(text) : .quoted(text) }
        if tag == "!" || tag == Self.coreTags + "str" { return .quoted(text) }
        let plain = YAML.plain(text)
        switch (tag, plain.json) {
        case (Self.coreTags + "null", .null), (Self.coreTags + "bool", .bool), (Self.coreTags + "int", .int),
            (Self.coreTags + "float", .int), (Self.coreTags + "float", .double):
            return plain
        default: throw wrongTag(tag, event)
        }
    }

    private func check(_ event: Event, is name: String) throws(ValidationError) {
        guard let tag = event.tag, tag != "!", tag != Self.coreTags + name else { return }
        throw wrongTag(tag, event)
    }

    private func wrongTag(_ tag: String, _ event: Event) -> ValidationError {
        let name = tag.hasPrefix(Self.coreTags) ? "!!" + tag.dropFirst(Self.coreTags.count) : tag
        return event.error(
            "the tag '\(name.prefix(80))' does not go with this value: leave it out, or put a value that begins with '!' "
                + "in quotes")
    }

    // MARK: libyaml

    private func next() throws(ValidationError) -> Event {
        while true {
            var event = yaml_event_t()
            guard yaml_parser_parse(parser, &event) == 1 else { throw problem() }
            defer { yaml_event_delete(&event) }
            let line = event.start_mark.line + 1
            switch event.type {
            case YAML_STREAM_START_EVENT: continue
            case YAML_DOCUMENT_START_EVENT: return Event(kind: .documentStart, line: line)
            case YAML_ALIAS_EVENT:
                return Event(kind: .alias(Self.text(event.data.alias.anchor) ?? ""), line: line)
            case YAML_SCALAR_EVENT:
                let scalar = event.data.scalar
                let bytes = UnsafeBufferPointer(start: scalar.value, count: scalar.length)
                // Neither a database's text nor the environment of a process can have it.
                guard !bytes.contains(0) else { throw Self.error("a text cannot have the character 0", line: line) }
                return Event(
                    kind: .scalar(
                        String(decoding: bytes, as: UTF8.self), isPlain: scalar.style == YAML_PLAIN_SCALAR_STYLE),
                    line: line, anchor: Self.text(scalar.anchor), tag: Self.text(scalar.tag))
            case YAML_SEQUENCE_START_EVENT:
                let start = event.data.sequence_start
                return Event(
                    kind: .sequenceStart, line: line, anchor: Self.text(start.anchor), tag: Self.text(start.tag))
            case YAML_MAPPING_START_EVENT:
                let start = event.data.mapping_start
                return Event(
                    kind: .mappingStart, line: line, anchor: Self.text(start.anchor), tag: Self.text(start.tag))
            case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT, YAML_DOCUMENT_END_EVENT:
                return Event(kind: .end, line: line)
            default: return Event(kind: .streamEnd, line: line)
            }
        }
    }

    private static func text(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? {
        pointer.map { String(cString: $0) }
    }

    private static func error(_ reason: String, line: Int) -> ValidationError {
        ValidationError(path: "line \(line)", reason)
    }

    // MARK: Errors

    /// What libyaml says of its failure.
    private func problem() -> ValidationError {
        guard parser.pointee.error != YAML_MEMORY_ERROR, let problem = parser.pointee.problem else {
            return ValidationError("out of memory")
        }
        var reason = String(cString: problem)
        if parser.pointee.error == YAML_READER_ERROR {
            let before = input.prefix(parser.pointee.problem_offset)
            return Self.error(
                "is no text in UTF-8: \(reason)", line: before.count { $0 == UInt8(ascii: "\n") } + 1)
        }
        let place = parser.pointee.problem_mark
        var wayOut = wayOut(at: place)
        if let context = parser.pointee.context {
            let start = parser.pointee.context_mark
            reason += " \(String(cString: context))"
            if start.line != place.line { reason += " that begins in line \(start.line + 1)" }
            wayOut = wayOut ?? self.wayOut(at: start)
        }
        return Self.error(reason + (wayOut.map { ": \($0)" } ?? ""), line: place.line + 1)
    }

    /// For the slips that are common, by the character at the mark.
    private func wayOut(at mark: yaml_mark_t) -> String? {
        // A mark counts characters, not bytes.
        switch String(decoding: input, as: UTF8.self).unicodeScalars.dropFirst(mark.index).first {
        case "\t": "tabs cannot indent"
        // At the start of a line it begins a directive.
        case "%" where mark.column == 0: nil
        case ":", "@", "`", "%", "&", "*", "!": "put such a value in quotes"
        default: nil
        }
    }
}
