import Glibc
import HubModel
import SimdJSON

enum NodeName {
    /// The node id that the agent of a data folder has. It is made of the machine's name once and then kept: what was
    /// placed on the node must not lose it when the machine gets another name, or the folder another machine.
    static func ofAgent(in data: DataDirectory) throws(EmbeddedError) -> Identifier {
        let known = try readFile(data.agentConfiguration).flatMap { try? JSON(parsing: $0) }
        return known?["node"]?["id"]?.string.flatMap { Identifier($0) } ?? ofThisMachine()
    }

    /// The machine's name as an id: what cannot stand in one becomes `-`.
    static func ofThisMachine() -> Identifier {
        // One byte more than is told of, so that a zero closes even a name that was cut off.
        var buffer = [CChar](repeating: 0, count: 257)
        let code = gethostname(&buffer, 256)
        return identifier(code == 0 ? buffer.withUnsafeBufferPointer { String(cString: $0.baseAddress!) } : "")
    }

    static func identifier(_ name: String) -> Identifier {
        let text = name.unicodeScalars.map { Identifier(String($0)) == nil ? "-" : String($0) }.joined()
        return Identifier(text.prefix(64)) ?? Identifier("node")!
    }
}
