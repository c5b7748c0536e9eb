import SensorKit
import Testing

@Suite struct DebounceTests {
    private let start = Instant(nanoseconds: 1_000_000_000)

    private func at(_ milliseconds: Int) -> Instant { start + .milliseconds(milliseconds) }

    @Test func aValueCountsWhenItHasLasted() {
        var debounce = Debounce(value: false, period: .milliseconds(10))
        #expect(debounce.add(value: true, time: at(0)) == nil)
        #expect(debounce.deadline == at(10))
        #expect(debounce.advance(to: at(9)) == nil)
        #expect(debounce.advance(to: at(10)) == Debounce.Change(value: true, time: at(0)))
        #expect(debounce.value && debounce.deadline == nil && debounce.bounces == 0)
        #expect(debounce.advance(to: at(100)) == nil)
    }

    @Test func aContactThatBouncesHasChangedOnce() {
        var debounce = Debounce(value: false, period: .milliseconds(10))
        for (milliseconds, value) in [(0, true), (1, false), (3, true), (4, false), (7, true)] {
            #expect(debounce.add(value: value, time: at(milliseconds)) == nil)
        }
        #expect(debounce.advance(to: at(16)) == nil)
        #expect(debounce.advance(to: at(17)) == Debounce.Change(value: true, time: at(7)))
        #expect(debounce.bounces == 2)
    }

    /// Edges may be read long after they were: only their own times count.
    @Test func theNextEdgeTellsThatTheOneBeforeHasLasted() {
        var debounce = Debounce(value: false, period: .milliseconds(10))
        #expect(debounce.add(value: true, time: at(0)) == nil)
        #expect(debounce.add(value: false, time: at(10)) == Debounce.Change(value: true, time: at(0)))
        #expect(debounce.advance(to: at(20)) == Debounce.Change(value: false, time: at(10)))
    }

    @Test func aGlitchIsNoChange() {
        var debounce = Debounce(value: false, period: .milliseconds(10))
        #expect(debounce.add(value: true, time: at(0)) == nil)
        #expect(debounce.add(value: false, time: at(9)) == nil)
        #expect(debounce.deadline == nil)
        #expect(debounce.advance(to: at(100)) == nil)
        #expect(!debounce.value && debounce.bounces == 1)
    }

    @Test func anEdgeThatWasLostBeginsAnew() {
        var debounce = Debounce(value: false, period: .milliseconds(10))
        #expect(debounce.add(value: true, time: at(0)) == nil)
        #expect(debounce.add(value: true, time: at(8)) == nil)
        #expect(debounce.advance(to: at(17)) == nil)
        #expect(debounce.advance(to: at(18)) == Debounce.Change(value: true, time: at(8)))
    }

    @Test func withoutAPeriodEveryChangeCountsAtOnce() {
        var debounce = Debounce(value: false, period: .zero)
        #expect(debounce.add(value: true, time: at(0)) == Debounce.Change(value: true, time: at(0)))
        #expect(debounce.add(value: true, time: at(1)) == nil)
        #expect(debounce.add(value: false, time: at(1)) == Debounce.Change(value: false, time: at(1)))
        #expect(debounce.deadline == nil)
    }
}

@Suite struct EdgeLedgerTests {
    private func edge(_ value: Bool, _ number: Int64? = nil) -> Edge {
        Edge(value: value, time: Instant(nanoseconds: 0), number: number)
    }

    @Test func twoEdgesToTheSameValue() {
        var ledger = EdgeLedger(value: false)
        #expect([true, false, false, true, true].map { ledger.add(edge($0)) } == [0, 0, 1, 0, 1])
        #expect(ledger.lost == 2 && ledger.value)
    }

    /// Also pairs are seen to be missing where edges are numbered.
    @Test func numbersThatAreLeftOut() {
        var ledger = EdgeLedger(value: false)
        let lost = [(true, 1), (false, 2), (true, 5), (false, 6), (false, 20)].map { ledger.add(edge($0.0, $0.1)) }
        #expect(lost == [0, 0, 2, 0, 13])
        #expect(ledger.lost == 15)
    }

    @Test func theFirstOnesCanBeLost() {
        var ledger = EdgeLedger(value: false)
        #expect(ledger.add(edge(true, 3)) == 2)
    }

    /// Those that are known to be dropped count, and one more where the value does not go with their number.
    @Test(arguments: [(2, true, 2), (3, false, 3), (2, false, 3), (3, true, 4)] as [(Int64, Bool, Int64)])
    func edgesThatWereDropped(dropped: Int64, value: Bool, lost: Int64) {
        var ledger = EdgeLedger(value: false)
        #expect(ledger.add(Edge(value: value, time: Instant(nanoseconds: 0), dropped: dropped)) == lost)
        #expect(ledger.value == value && ledger.lost == lost)
    }

    @Test func theLineIsNotWhatTheLastEdgeSaid() {
        var ledger = EdgeLedger(value: false)
        let isShown = [false, true].map { ledger.reconcile(with: $0) }
        #expect(isShown == [false, true])
        #expect(ledger.add(edge(false)) == 0)
        #expect(ledger.lost == 0)
    }

    /// What the value has shown is among the numbers that are left out.
    @Test func anEdgeThatTheValueHasShownIsNotLostAsWell() {
        var ledger = EdgeLedger(value: false)
        #expect([(true, 1), (false, 2)].map { ledger.add(edge($0.0, $0.1)) } == [0, 0])
        let isShown = ledger.reconcile(with: true)
        #expect(isShown)
        #expect(ledger.add(edge(false, 6)) == 2)
        #expect(ledger.add(edge(true, 9)) == 2)
    }
}

@Suite struct ReferenceTests {
    @Test func buses() throws {
        #expect(try I2CBusReference(DocumentReader(1)) == .number(1))
        #expect(try I2CBusReference(DocumentReader("/dev/i2c-1")) == .path("/dev/i2c-1"))
        #expect(try I2CBusReference(DocumentReader("bcm2835 (i2c@7e804000)")) == .adapter("bcm2835 (i2c@7e804000)"))
        #expect(
            try I2CBusReference(
                DocumentReader(["sda": "A", "scl": ["chip": "pinctrl", "offset": 3], "timeout_ms": 50]))
                == .lines(
                    BitBangedBusSettings(
                        sda: .name("A"), scl: .offset(3, chip: .name("pinctrl")), timeout: .milliseconds(50))))
    }

    @Test(
        arguments: [
            (true, "i2c: expected the number of a bus, the path or the name of its adapter, or"),
            (-1, "i2c: must be from 0 to 65535, is -1"), ("", "i2c: must not be empty"),
            (["sda": "A"], "i2c: 'scl' is missing"), (["sda": "A", "scl": "A"], "i2c.scl: is the same line as 'sda'"),
            (["sda": "A", "scl": "B", "half_period_us": 0], "i2c.half_period_us: must be from 1 to 100000, is 0"),
        ] as [(JSON, String)])
    func noBuses(json: JSON, message: String) {
        let error = #expect(throws: ValidationError.self) { try I2CBusReference(DocumentReader(json, path: "i2c")) }
        #expect(error?.description.hasPrefix(message) == true)
    }

    @Test func lines() throws {
        #expect(try LineReference(DocumentReader("GPIO17")) == .name("GPIO17"))
        #expect(try LineReference(DocumentReader(["chip": 0, "offset": 17])) == .offset(17, chip: .number(0)))
        #expect(
            try LineReference(DocumentReader(["chip": "/dev/gpiochip0", "offset": 1]))
                == .offset(1, chip: .path("/dev/gpiochip0")))
    }

    @Test func bytes() {
        let bytes: [UInt8] = [0x12, 0x34, 0xFE, 0xDC]
        #expect(bytes.uint16(at: 0, .bigEndian) == 0x1234 && bytes.uint16(at: 0, .littleEndian) == 0x3412)
        #expect(bytes.int16(at: 2, .bigEndian) == -292 && bytes[1...].int16(at: 1, .littleEndian) == -8962)
        #expect(bytes.uint24(at: 1, .bigEndian) == 0x34FEDC && bytes.uint24(at: 0, .littleEndian) == 0xFE3412)
        #expect(ByteOrder.bigEndian.bytes(of: 0x1234) == [0x12, 0x34])
        #expect(hexadecimal(0x0A) == "0x0A")
    }
}
