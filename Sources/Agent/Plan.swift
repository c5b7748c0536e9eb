import HubModel
import SimdJSON

/// The whole of what a node is to run.
struct Plan {
    var programs: [PlannedProgram] = []
    /// Entries that cannot be run, with the reason.
    var refused: [(ProgramID, String)] = []
    /// Entries that do not even say which program they are about.
    var unreadable: [String] = []
    /// How the apps of devices are told of; nil where the plan does not say it.
    var devices: DeviceSettings?

    static let maximumPrograms = 10_000

    init(programs: [PlannedProgram], refused: [(ProgramID, String)] = []) {
        self.programs = programs
        self.refused = refused
    }

    /// Reads a `plan` command. One bad entry does not spoil the others.
    ///
    /// - Throws: `JSONSyntaxError` or `ValidationError` for what is no plan at all.
    init(parsing bytes: [UInt8]) throws {
        let reader = DocumentReader(try JSON(parsing: bytes))
        let kind = try reader.required("kind")
        guard try kind.string() == "plan" else { throw kind.error("is neither 'plan' nor 'signal'") }
        let list = try reader.required("programs")
        let items = try list.items()
        guard items.count <= Self.maximumPrograms else {
            throw list.error("\(items.count) programs are more than the \(Self.maximumPrograms) that a node takes")
        }
        devices = try reader.optional("devices").map { try DeviceSettings($0) }
        var seen: Set<ProgramID> = []
        for item in items {
            let program: ProgramID
            do {
                program = try ProgramID(item)
            } catch {
                unreadable.append("\(error)")
                continue
            }
            guard seen.insert(program).inserted else {
                unreadable.append("\(item.path): \(program) stands in the plan twice")
                continue
            }
            if let error = item.value["error"]?.string {
                refused.append((program, error))
                continue
            }
            do {
                let planned = try PlannedProgram(item)
                try Self.check(planned, item)
                programs.append(planned)
            } catch {
                refused.append((program, "the hub's plan for it is not valid: \(error)"))
            }
        }
    }

    private static func check(_ planned: PlannedProgram, _ reader: DocumentReader) throws(ValidationError) {
        switch planned.work {
        case .driver(_, let type, let instance):
            guard instance.name == planned.program.id else {
                throw reader.error("instance: its name is not '\(planned.program.id)'")
            }
            guard instance.type == type.name else {
                throw reader.error("instance: its type is '\(instance.type)', not '\(type.name)'")
            }
        case .command: break
        case .app(let work):
            let sha256 = work.sha256
            guard sha256.utf8.count == 64, sha256.utf8.allSatisfy(isHexadecimal) else {
                throw reader.error("sha256: is no SHA-256 in hexadecimal")
            }
        }
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }
}
