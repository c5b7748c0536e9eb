import HubModel
package import SimdJSON

// As a watch's file has it; durations are in microseconds.

extension ProgramSpecification {
    package var json: JSON {
        var object: JSONObject = [
            "executable": .string(executable), "arguments": .array(arguments.map { .string($0) }),
            "environment": .object(
                JSONObject(environment.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })),
            "input": .string(input.rawValue), "restart": restart.json, "stop_signal": .int(Int64(stopSignal)),
            "stop_wait": stopWait.json,
        ]
        if let workingDirectory { object["folder"] = .string(workingDirectory) }
        if let userID { object["user"] = .int(Int64(userID)) }
        if let groupID { object["group"] = .int(Int64(groupID)) }
        if let cgroup { object["cgroup"] = .string(cgroup) }
        if let systemctl { object["systemctl"] = .array(systemctl.map { .string($0) }) }
        if overflow != .dropped { object["overflow"] = .string(overflow.rawValue) }
        if wrappers > 0 { object["wrappers"] = .int(Int64(wrappers)) }
        if !resourceLimits.isEmpty {
            object["limits"] = .array(
                resourceLimits.map { ["kind": .string($0.kind.rawValue), "value": .int(Int64(clamping: $0.value))] })
        }
        return .object(object)
    }

    package init(_ reader: DocumentReader) throws(ValidationError) {
        let word = try reader.required("input")
        guard let input = ProgramInput(rawValue: try word.string()) else { throw word.error("is no kind of input") }
        var environment: [String: String] = [:]
        for (key, value) in try reader.required("environment").members() { environment[key] = try value.string() }
        self.init(
            executable: try reader.required("executable").string(),
            arguments: try reader.required("arguments").items().map { (item) throws(ValidationError) in
                try item.string()
            },
            environment: environment, workingDirectory: try reader.optional("folder")?.string(),
            userID: try reader.optional("user").map { (user) throws(ValidationError) in
                UInt32(try user.int(0...Int64(UInt32.max)))
            },
            groupID: try reader.optional("group").map { (group) throws(ValidationError) in
                UInt32(try group.int(0...Int64(UInt32.max)))
            },
            restart: try RestartPolicy(try reader.required("restart")),
            stopSignal: Int32(try reader.required("stop_signal").int(1...64)),
            stopWait: try Duration(try reader.required("stop_wait")))
        self.input = input
        if let word = try reader.optional("overflow") {
            guard let overflow = OutputOverflow(rawValue: try word.string()) else {
                throw word.error("is no such rule")
            }
            self.overflow = overflow
        }
        cgroup = try reader.optional("cgroup")?.string()
        systemctl = try reader.optional("systemctl")?.items().map { (item) throws(ValidationError) in try item.string()
        }
        wrappers = Int(try reader.optional("wrappers")?.int(0...16) ?? 0)
        for item in try reader.optional("limits")?.items() ?? [] {
            let word = try item.required("kind")
            guard let kind = ResourceLimit.Kind(rawValue: try word.string()) else { throw word.error("is no limit") }
            resourceLimits.append(ResourceLimit(kind, UInt64(try item.required("value").int(0...Int64.max))))
        }
    }
}

extension RestartPolicy {
    fileprivate var json: JSON {
        let word =
            switch condition {
            case .never: "false"
            case .unexpected: "unexpected"
            case .always: "true"
            }
        return [
            "autorestart": .string(word), "exitcodes": .array(exitCodes.sorted().map { .int(Int64($0)) }),
            "fatalexitcodes": .array(fatalExitCodes.sorted().map { .int(Int64($0)) }),
            "startsecs": startSeconds.json, "startretries": startRetries.map { .int(Int64($0)) } ?? .null,
            "maxrestarts": maximumRestarts.map { .int(Int64($0)) } ?? .null,
            "backoff_first": backoffFirst.json, "backoff_cap": backoffCap.json,
        ]
    }

    fileprivate init(_ reader: DocumentReader) throws(ValidationError) {
        func codes(_ key: String) throws(ValidationError) -> Set<Int32> {
            var codes: Set<Int32> = []
            for item in try reader.required(key).items() { codes.insert(Int32(try item.int(0...255))) }
            return codes
        }
        let word = try reader.required("autorestart")
        let condition: Condition
        switch try word.string() {
        case "false": condition = .never
        case "unexpected": condition = .unexpected
        case "true": condition = .always
        default: throw word.error("is neither false, unexpected nor true")
        }
        self.init(
            condition, exitCodes: try codes("exitcodes"), fatalExitCodes: try codes("fatalexitcodes"),
            startSeconds: try Duration(try reader.required("startsecs")),
            startRetries: try reader.optional("startretries").map { (retries) throws(ValidationError) in
                Int(try retries.int(0...Int64(Int32.max)))
            },
            maximumRestarts: try reader.optional("maxrestarts").map { (restarts) throws(ValidationError) in
                Int(try restarts.int(0...Int64(Int32.max)))
            },
            backoffFirst: try Duration(try reader.required("backoff_first")),
            backoffCap: try Duration(try reader.required("backoff_cap")))
    }
}

extension Duration {
    /// In microseconds.
    fileprivate var json: JSON {
        .int(components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000)
    }

    fileprivate init(_ reader: DocumentReader) throws(ValidationError) {
        self = .microseconds(try reader.int(0...Int64(Int32.max) * 1_000_000))
    }
}
