import ArgumentParser
import SimdJSON

enum TopOrder: String, ExpressibleByArgument, CaseIterable {
    case cpu, memory

    init?(key: Character) {
        switch key {
        case "c", "C": self = .cpu
        case "m", "M": self = .memory
        default: return nil
        }
    }
}

/// What `sensorhub top` shows: the machines, and below them the programs that have a process, the greatest first.
struct TopView {
    var order: TopOrder
    /// What is wrong, for as long as it is.
    var trouble: String?
    private var nodes: [JSON] = []
    private var programs: [JSON] = []

    init(order: TopOrder) {
        self.order = order
    }

    /// - Parameters: the hub's replies to `nodes/list` and `programs/list`.
    mutating func take(nodes: JSON, programs: JSON) {
        self.nodes = nodes["nodes"]?.array ?? []
        self.programs = (programs["programs"]?.array ?? []).filter { $0["memory"]?.int != nil }
        trouble = nil
    }

    private var sorted: [JSON] {
        func value(_ program: JSON) -> Double { program[order.rawValue]?.double ?? -1 }
        return programs.enumerated().sorted { left, right in
            let a = value(left.element), b = value(right.element)
            return a == b ? left.offset < right.offset : a > b
        }.map(\.element)
    }

    var json: JSON { ["nodes": .array(nodes), "programs": .array(sorted)] }

    var lines: [String] {
        var machines = Table(["node", "status", "cpu", "load", "memory available", "disk free", "temperature", "up"])
        for node in nodes {
            machines.add([
                node.plain("node"), node.plain("status"), Figure.percent(node["cpu"]),
                ["load", "load_5", "load_15"].map { node.plain($0) }.joined(separator: " "),
                Figure.part(node["memory_available"], of: node["memory"]),
                Figure.part(node["disk_free"], of: node["disk"]),
                node["temperature"]?.double.map { "\(Figure.short($0)) °C" } ?? "",
                node["uptime"]?.double.map { Figure.seconds($0) } ?? "",
            ])
        }
        var table = Table([
            "id", "node", "pid", "cpu", "memory", "private", "processes", "threads", "files", "read", "written", "up",
        ])
        for program in sorted {
            func bytes(_ name: String) -> String { program[name]?.int.map { Figure.bytes($0) } ?? "" }
            table.add([
                program.plain("id"), program.plain("node"), program.plain("pid"), Figure.percent(program["cpu"]),
                bytes("memory"), bytes("private"), program.plain("processes"), program.plain("threads"),
                program.plain("files"), bytes("read"), bytes("written"),
                program["uptime"]?.double.map { Figure.seconds($0) } ?? "",
            ])
        }
        return (trouble.map { ["! \($0)", ""] } ?? []) + machines.lines + [""]
            + (table.isEmpty ? ["no program has been sampled yet"] : table.lines)
    }
}
