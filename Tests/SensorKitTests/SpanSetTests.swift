import Testing

@testable import SensorKit

func span(_ boot: Int64, _ seqs: ClosedRange<Int64>) -> Span { Span(boot: boot, seqs: seqs) }

func at(_ boot: Int64, _ seq: Int64) -> Position { Position(boot: boot, seq: seq) }

@Suite struct SpanSetTests {
    @Test func joinsWhatTouchesAndTakesAnyOrder() {
        let set = SpanSet([span(2, 1...2), span(1, 5...9), span(1, 1...4), span(1, 3...6), span(2, 4...4)])
        #expect(set.spans == [span(1, 1...9), span(2, 1...2), span(2, 4...4)])
        #expect(set.count == 12 && set.last == at(2, 4))
    }

    @Test func removesARangeButForExceptions() {
        var set = SpanSet([span(1, 1...9), span(2, 1...9), span(3, 1...9)])
        set.remove(at(1, 5)...at(3, 3), except: SpanSet([span(1, 8...20), span(2, 1...1), span(3, 3...4)]))
        #expect(set.spans == [span(1, 1...4), span(1, 8...9), span(2, 1...1), span(3, 3...9)])
        set.remove(at(0, 0)...at(9, 0), except: SpanSet())
        #expect(set.isEmpty)
    }

    @Test func findsWhatComesNext() {
        let set = SpanSet([span(1, 1...4), span(3, 2...3)])
        #expect(set.next(from: .zero) == span(1, 1...4))
        #expect(set.next(from: at(1, 4)) == span(1, 4...4))
        #expect(set.next(from: at(2, 1)) == span(3, 2...3))
        #expect(set.next(from: at(3, 4)) == nil)
    }
}
