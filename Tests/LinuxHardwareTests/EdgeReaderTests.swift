import CHardware
import Glibc
import Testing

/// The thread that keeps edges with libgpiod 1.6. Its lines are pipes here, with a character for each edge.
@Suite struct EdgeReaderTests {
    @Test func keepsEdgesUntilTheyAreTaken() throws {
        let wires = try Wires(2)
        #expect(try wires.take().isEmpty && !wires.areEdgesTold(within: 0))
        wires.send("1", to: 0)
        #expect(wires.areEdgesTold(within: 30_000))
        #expect(try wires.take().map { [$0.index, UInt32($0.is_rising)] } == [[0, 1]])
        #expect(!wires.areEdgesTold(within: 0))
        wires.send("01", to: 1)
        // Whether or not the thread has been there already.
        #expect(try wires.take().map { [$0.index, UInt32($0.is_rising)] } == [[1, 0], [1, 1]])
    }

    @Test func countsWhatItHasNoRoomFor() throws {
        let wires = try Wires(1)
        let sent = SH_KEPT_EDGES + 100
        for _ in 0..<sent { wires.send("1", to: 0) }
        #expect(wires.areRead(within: 30_000))
        #expect(try wires.take().count == SH_KEPT_EDGES)
        wires.send("0", to: 0)
        wires.send("1", to: 0)
        #expect(wires.areRead(within: 30_000))
        #expect(try wires.take().map(\.dropped) == [100, 0])
    }

    @Test func tellsOfALineThatIsGone() throws {
        let wires = try Wires(1)
        wires.send("1", to: 0)
        #expect(wires.areRead(within: 30_000))
        wires.cut(0)
        #expect(try wires.take().count == 1)
        #expect(wires.areEdgesTold(within: 30_000))
        #expect(throws: Wires.Gone(code: ENODEV)) { try wires.take() }
        #expect(throws: Wires.Gone(code: ENODEV)) { try wires.take() }
    }
}

private final class Wires {
    struct Gone: Error, Equatable {
        let code: Int32
    }

    private var ends: [(read: Int32, write: Int32)] = []
    private let reader: OpaquePointer

    init(_ count: Int) throws {
        for _ in 0..<count {
            var pair: [Int32] = [-1, -1]
            try #require(pipe(&pair) == 0)
            for end in pair { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
            ends.append((pair[0], pair[1]))
        }
        let started = sh_edge_reader_start(ends.map(\.read), count) { descriptor, out, room in
            var text = [UInt8](repeating: 0, count: room)
            let count = read(descriptor, &text, room)
            guard count != 0 else {
                errno = ENODEV
                return -1
            }
            for index in 0..<max(0, count) {
                out![index] = sh_gpio_event()
                out![index].is_rising = text[index] == UInt8(ascii: "1") ? 1 : 0
            }
            return count
        }
        reader = try #require(started)
    }

    deinit {
        sh_edge_reader_stop(reader)
        for end in ends {
            close(end.read)
            if end.write >= 0 { close(end.write) }
        }
    }

    func send(_ text: String, to line: Int) {
        // Waits until there is room in the pipe.
        while write(ends[line].write, text, text.utf8.count) < 0 { sched_yield() }
    }

    func cut(_ line: Int) {
        close(ends[line].write)
        ends[line].write = -1
    }

    func take() throws -> [sh_gpio_event] {
        var events = [sh_gpio_event](repeating: sh_gpio_event(), count: 2 * SH_KEPT_EDGES)
        let count = sh_edge_reader_take(reader, &events, events.count)
        guard count >= 0 else { throw Gone(code: errno) }
        return Array(events[..<count])
    }

    func areEdgesTold(within milliseconds: Int32) -> Bool {
        var waiting = pollfd(fd: sh_edge_reader_descriptor(reader), events: Int16(POLLIN), revents: 0)
        return poll(&waiting, 1, milliseconds) > 0
    }

    /// Whether the thread has read all that was sent.
    func areRead(within milliseconds: Int) -> Bool {
        for _ in 0..<milliseconds {
            var waiting = pollfd(fd: ends[0].read, events: Int16(POLLIN), revents: 0)
            if poll(&waiting, 1, 0) == 0 { return true }
            usleep(1_000)
        }
        return false
    }
}
