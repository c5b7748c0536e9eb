// Compiled into one module with the parser's own sources by `Tests/Fuzz/build`; started by libFuzzer.
import Glibc
import HubModel
import SimdJSON

/// Whatever stands in a payload: it must not bring the hub down, and what is handed over must be what ingest relies on.
/// A broken promise ends the process, and libFuzzer keeps the payload.
private final class Fuzz {
    private let type = IngestType(
        id: 1, table: "climate",
        fields: [
            Field(name: "temperature", type: .float), Field(name: "count", type: .int),
            Field(name: "room", type: .string), Field(name: "open", type: .bool),
        ])
    /// As in the hub: kept from one payload to the next, so that nothing of one may be seen in another.
    private let parser = ReadingParser()
    private let second = ReadingParser()
    private let topics = Topics(hub: Identifier("main")!)

    /// What was handed over, in numbers.
    private struct Counts: Equatable {
        var readings = 0, faults = 0, notes = 0, corrections = 0
    }

    func run(_ payload: UnsafeRawBufferPointer) {
        var counts = Counts()
        parser.parse(payload, as: type) { item in
            switch item {
            case .reading(let reading):
                counts.readings += 1
                check(reading)
            case .refused(let fault, let text, _):
                counts.faults += 1
                require(!fault.reason.isEmpty, "a fault without a reason")
                if let text { checkRefusedAgain(text, fault) }
            case .note(let note):
                counts.notes += 1
                check(note)
            case .clock(let correction):
                counts.corrections += 1
                require(correction.boot >= 0 && correction.sequences.lowerBound >= 0, "a clock correction below 0")
            }
        }
        checkBatch(of: payload, counts)
    }

    // MARK: Promises of the parser

    private func check(_ reading: ParsedReading) {
        require(reading.values.count == type.fields.count, "\(reading.values.count) values")
        require(reading.values.contains { $0 != nil }, "a reading without a value")
        for (field, value) in zip(type.fields, reading.values) {
            guard let value else { continue }
            switch field.type {
            case .float: require(value.kind == .int || value.kind == .double, "no number in a float"); _ = value.double
            case .int: require(value.kind == .int, "no whole number in an int"); _ = value.int
            case .bool: require(value.kind == .bool, "no bool in a bool"); _ = value.bool
            case .string:
                require(value.kind == .string, "no text in a string")
                require(String(validating: value.utf8, as: UTF8.self) != nil, "text that is not UTF-8")
                require(!value.utf8.contains(0), "text with NUL, which the database refuses")
            }
        }
        guard let key = reading.key else { return }
        require((0...4_102_444_800_000_000).contains(key.time), "the time \(key.time)")
        require((0...1 << 53).contains(key.boot) && (0...1 << 53).contains(key.sequence), "\(key.boot)/\(key.sequence)")
    }

    private func check(_ note: SequenceNotes.Note) {
        switch note {
        case .came(let boot, let range), .lost(let boot, let range):
            require(boot >= 0 && range.lowerBound >= 0 && range.upperBound <= 1 << 53, "the range \(range) of \(boot)")
        case .ended(let boot, let last):
            require(boot >= 0 && (0...1 << 53).contains(last), "the end \(last) of \(boot)")
        }
    }

    /// A dead letter can be taken up again: it is JSON, and by itself at fault for the same reason.
    private func checkRefusedAgain(_ text: [UInt8], _ fault: ReadingFault) {
        // A list within the list would be read as several readings.
        if text.first == UInt8(ascii: "[") { return }
        var faults: [ReadingFault] = []
        text.withUnsafeBytes { bytes in
            second.parse(bytes, as: type) { item in
                if case .refused(let fault, _, _) = item { faults.append(fault) }
            }
        }
        require(faults == [fault], "'\(fault)' became '\(faults)'")
    }

    // MARK: Promises of the batch and of the ledger

    private func checkBatch(of payload: UnsafeRawBufferPointer, _ counts: Counts) {
        var batch = IngestBatch()
        let entry = IngestCatalog.Entry(sensorID: 7, sensor: Identifier("s")!, type: type)
        var next: Int64 = 1
        batch.add(
            payload, from: entry, topics: topics, receivedAt: 50, parser: second, nextSequence: &next
        ) { key in key.boot.isMultiple(of: 2) ? 1 : nil }
        require(batch.readings == counts.readings, "\(batch.readings) readings in the batch of \(counts.readings)")
        require(batch.columns.reduce(0) { $0 + $1.count } == counts.readings, "rows and readings differ")
        require(batch.deadLetters.count == counts.faults, "\(batch.deadLetters.count) dead letters of \(counts.faults)")
        require(batch.deadLetters.allSatisfy { $0.payload.count <= 65_536 }, "a dead letter without bound")
        guard let part = batch.sensors.first, batch.sensors.count == 1 else {
            fail("the batch has forgotten its sensor")
        }
        require(part.corrections.count == counts.corrections, "clock corrections differ")
        require((part.latest != nil) == (counts.readings > 0), "the latest reading is not told")
        if let latest = part.latest {
            let value = batch.value(of: latest, parser: second)
            require(value.first == UInt8(ascii: "{"), "the latest value is no object")
            value.withUnsafeBytes { bytes in
                do {
                    try JSONParser().parse(bytes) { require($0.kind == .object, "the latest value is no object") }
                } catch {
                    fail("the latest value: \(error)")
                }
            }
        }
        var ledger = SequenceLedger()
        _ = ledger.take(part.notes)
        let furthest = ledger.furthest
        let repeated = ledger.take(part.notes)
        require(repeated.earlier.values.allSatisfy { $0 >= 0 }, "progress below 0")
        require((ledger.furthest?.boot ?? 0) >= (furthest?.boot ?? 0), "the ledger went back")
    }
}

private func require(_ condition: Bool, _ what: @autoclosure () -> String) {
    if !condition { fail(what()) }
}

private func fail(_ what: String) -> Never { fatalError("broken promise: \(what)") }

/// libFuzzer calls from one thread.
nonisolated(unsafe) private let fuzz = Fuzz()

/// What libFuzzer calls with each payload.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    fuzz.run(UnsafeRawBufferPointer(start: start, count: count))
    return 0
}
