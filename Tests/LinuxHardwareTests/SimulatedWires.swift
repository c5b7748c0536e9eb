import SensorKit

/// Two wires with pull-ups, and a chip with registers at address 0x23, which moves with each change of a wire as the
/// I2C-bus specification says (NXP, UM10204, 3.1).
///
/// `@unchecked Sendable`: a test and the bus that it calls are on one thread.
final class SimulatedWires: Hardware, @unchecked Sendable {
    var registers = [UInt8](repeating: 0, count: 256)
    /// What the master did: S start, P stop, N a byte read was not acknowledged.
    private(set) var events: [String] = []
    private(set) var requests: [LineRequest] = []
    /// How often the clock is seen low after each byte before the chip lets it go.
    var stretchesReads = 0
    var fault: SensorFault?

    // What each side does: true is letting go.
    private var masterData = true, masterClock = true
    private var chipData = true
    private var stretching = 0
    private var heldClocks = 0

    private enum Phase {
        case idle
        /// Taking bits of the address or of a byte that is written.
        case taking(isAddress: Bool)
        case giving
        case ignoring
    }
    private var phase = Phase.idle
    /// Clock pulses of the byte so far; the ninth is the acknowledgement.
    private var pulses = 0
    private var shift: UInt8 = 0
    private var pointer: UInt8 = 0
    private var isPointerNext = false

    var isFree: Bool { data && clock && chipData }

    private var data: Bool { masterData && chipData && heldClocks == 0 }
    private var clock: Bool { masterClock && stretching == 0 }

    func holdData(forClocks count: Int) { heldClocks = count }

    // MARK: The chip

    private func change(data: Bool? = nil, clock: Bool? = nil) {
        let before = (data: self.data, clock: self.clock)
        if let data { masterData = data }
        if let clock { masterClock = clock }
        moved(from: before)
    }

    private func moved(from before: (data: Bool, clock: Bool)) {
        if before.clock, clock, before.data != data {
            events.append(data ? "P" : "S")
            phase = data ? .idle : .taking(isAddress: true)
            pulses = 0
            shift = 0
            chipData = true
        } else if !before.clock, clock {
            if heldClocks > 0, heldClocks != .max { heldClocks -= 1 }
            clockRose()
        } else if before.clock, !clock {
            clockFell()
        }
    }

    private func clockRose() {
        pulses += 1
        switch phase {
        case .taking where pulses <= 8: shift = shift << 1 | (data ? 1 : 0)
        case .giving where pulses == 9:
            if data {
                events.append("N")
                phase = .ignoring
            }
        default: break
        }
    }

    private func clockFell() {
        switch phase {
        case .taking(let isAddress):
            if pulses == 8 {
                chipData = !take(isAddress: isAddress)
                if stretchesReads > 0 { stretching = stretchesReads }
            } else if pulses == 9 {
                let isRead = isAddress && shift & 1 == 1
                chipData = true
                pulses = 0
                if isRead { give() } else { phase = .taking(isAddress: false) }
            }
        case .giving:
            if pulses == 9 { give() } else { present() }
        case .ignoring, .idle: chipData = true
        }
    }

    /// A byte has come; true to acknowledge it.
    private func take(isAddress: Bool) -> Bool {
        if isAddress {
            guard shift >> 1 == 0x23 else {
                phase = .ignoring
                return false
            }
            isPointerNext = true
        } else if isPointerNext {
            pointer = shift
            isPointerNext = false
        } else {
            registers[Int(pointer)] = shift
            pointer &+= 1
        }
        return true
    }

    private func give() {
        phase = .giving
        pulses = 0
        shift = registers[Int(pointer)]
        pointer &+= 1
        present()
    }

    private func present() { chipData = pulses >= 8 || shift >> UInt8(7 - pulses) & 1 == 1 }

    // MARK: The lines

    func openI2C(_ bus: I2CBusReference, user: String) throws(SensorFault) -> any I2CBus {
        throw SensorFault("there is none")
    }

    func takeLines(_ request: LineRequest) throws(SensorFault) -> any GPIOLines {
        requests.append(request)
        return Wire(self, isClock: request.lines == [.name("SCL")])
    }

    let kernelDevices = KernelDevices(root: "/nonexistent")

    private final class Wire: GPIOLines {
        private let wires: SimulatedWires
        private let isClock: Bool
        let descriptors: [Int32] = []

        init(_ wires: SimulatedWires, isClock: Bool) {
            self.wires = wires
            self.isClock = isClock
        }

        func values() throws(SensorFault) -> [Bool] {
            if let fault = wires.fault { throw fault }
            guard isClock else { return [wires.data] }
            if wires.stretching > 0, wires.masterClock, wires.stretching != .max {
                let before = (wires.data, wires.clock)
                wires.stretching -= 1
                wires.moved(from: before)
            }
            return [wires.clock]
        }

        func set(_ values: [Bool]) throws(SensorFault) {
            if let fault = wires.fault { throw fault }
            if isClock { wires.change(clock: values[0]) } else { wires.change(data: values[0]) }
        }

        func edges() throws(SensorFault) -> [Edge] { [] }
    }
}
