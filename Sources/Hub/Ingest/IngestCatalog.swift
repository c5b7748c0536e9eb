import Glibc
import HubModel
import Synchronization

/// The sensors that ingest takes readings of. The registry replaces it as a whole; ingest looks at a batch's beginning.
final class IngestCatalog: Sendable {
    struct Entry: Sendable {
        let sensorID: Int32
        let sensor: Identifier
        let type: IngestType
    }

    private struct State {
        var version = 0
        var entries: [Identifier: Entry] = [:]
    }

    private let state = Mutex(State())

    func replace(with registry: Registry) {
        let types = registry.types.mapValues { IngestType(id: $0.id, table: $0.table, fields: $0.type.fields) }
        var entries: [Identifier: Entry] = [:]
        for sensor in registry.sensors.values {
            guard let type = types[sensor.type] else { continue }
            entries[sensor.name] = Entry(sensorID: sensor.id, sensor: sensor.name, type: type)
        }
        state.withLock { state in
            state.version += 1
            state.entries = entries
        }
    }

    /// All entries, or nil when they are still those of `version`.
    func entries(ifNewerThan version: inout Int) -> [Identifier: Entry]? {
        state.withLock { state in
            guard state.version != version else { return nil }
            version = state.version
            return state.entries
        }
    }
}

/// What ingest needs to know of a sensor type.
final class IngestType: Sendable {
    let id: Int32
    let table: String
    let fields: [Field]
    /// The fields' names as they stand in a payload.
    let names: [[UInt8]]

    init(id: Int32, table: String, fields: [Field]) {
        self.id = id
        self.table = table
        self.fields = fields
        names = fields.map { Array($0.name.utf8) }
    }

    /// The position of a field; `expected` is looked at first, since fields mostly come in the type's order.
    func position(of name: UnsafeBufferPointer<UInt8>, expected: Int) -> Int? {
        func matches(_ position: Int) -> Bool {
            names[position].count == name.count
                && names[position].withUnsafeBufferPointer {
                    memcmp($0.baseAddress!, name.baseAddress!, name.count) == 0
                }
        }
        if expected < names.count, matches(expected) { return expected }
        return names.indices.first(where: matches)
    }
}
