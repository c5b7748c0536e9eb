public import SensorKit

/// A machine whose chips and lines are the test's: for unit tests of drivers.
///
/// `@unchecked Sendable`: a test and the driver that it calls are on one thread.
public final class ScriptedHardware: Hardware, @unchecked Sendable {
    /// Chips on the one I2C bus that there is, by address. At other addresses nobody answers.
    public var chips: [UInt8: any ScriptedChip] = [:]
    /// Lines by name.
    public var lines: [String: ScriptedLine] = [:]
    public var kernelDevices = KernelDevices(root: "/nonexistent")
    /// Drivers of the kernel that have a chip, by its address.
    public var kernelDrivers: [UInt8: String] = [:]
    /// All requests for lines, newest last.
    public private(set) var requests: [LineRequest] = []

    public init() {}

    public func openI2C(_ bus: I2CBusReference, user: String) throws(SensorFault) -> any I2CBus {
        ScriptedBus(self)
    }

    public func takeLines(_ request: LineRequest) throws(SensorFault) -> any GPIOLines {
        requests.append(request)
        var taken: [ScriptedLine] = []
        for line in request.lines {
            guard case .name(let name) = line, let match = lines[name] else {
                throw SensorFault("there is no line \(line)")
            }
            taken.append(match)
        }
        return ScriptedLines(taken, request)
    }

    /// What a driver is made with.
    ///
    /// - Parameters:
    ///   - fields: of the sensor's type.
    ///   - functions: of the sensor's type.
    ///   - stateDirectory: where the driver may remember something.
    public func context(
        fields: [Field], functions: [ControlFunction] = [], attributes: JSONObject, clock: WallClock = .system,
        log: Log = Log { _, _ in }, stateDirectory: String? = nil
    ) -> DriverContext {
        DriverContext(
            instance: Identifier("sensor-1")!,
            type: SensorType(name: Identifier("type")!, fields: fields, functions: functions), attributes: attributes,
            hardware: self, clock: clock, log: log, stateDirectory: stateDirectory)
    }
}

/// An I2C chip, as far as a test of a driver needs it.
public protocol ScriptedChip: AnyObject {
    func write(_ bytes: [UInt8]) throws(I2CError)
    func read(_ count: Int) throws(I2CError) -> [UInt8]
}

private final class ScriptedBus: I2CBus {
    private let hardware: ScriptedHardware
    let name = "I2C bus 1 'scripted'"

    init(_ hardware: ScriptedHardware) { self.hardware = hardware }

    func transfer(_ messages: [I2CMessage], to address: UInt8) throws(I2CError) -> [UInt8] {
        guard let chip = hardware.chips[address] else { throw I2CError(.noAnswer, "not acknowledged") }
        var result: [UInt8] = []
        for message in messages {
            switch message {
            case .write(let bytes): try chip.write(bytes)
            case .read(let count): result += try chip.read(count)
            }
        }
        return result
    }

    func kernelDriver(at address: UInt8) -> String? { hardware.kernelDrivers[address] }
}

/// A chip that says what it is told to say, and remembers what was written to it.
public final class CannedChip: ScriptedChip {
    /// What was written, one message each.
    public var written: [[UInt8]] = []
    /// What it answers to the next reads; zeroes when there is no more.
    public var answers: [[UInt8]]
    public var error: I2CError?

    public init(_ answers: [UInt8]...) { self.answers = answers }

    public func write(_ bytes: [UInt8]) throws(I2CError) {
        if let error { throw error }
        written.append(bytes)
    }

    public func read(_ count: Int) throws(I2CError) -> [UInt8] {
        if let error { throw error }
        let answer = answers.isEmpty ? [] : answers.removeFirst()
        return Array((answer + [UInt8](repeating: 0, count: count)).prefix(count))
    }
}

/// A chip with registers of one byte each: the first byte written sets the pointer, which then counts up.
public final class RegisterChip: ScriptedChip {
    public var registers = [UInt8](repeating: 0, count: 256)
    private var pointer: UInt8 = 0

    public init(_ registers: [UInt8: [UInt8]] = [:]) {
        for (first, bytes) in registers { set(first, bytes) }
    }

    /// Sets registers from `first` on.
    public func set(_ first: UInt8, _ bytes: [UInt8]) {
        for (index, byte) in bytes.enumerated() { registers[Int(first) + index] = byte }
    }

    public func write(_ bytes: [UInt8]) throws(I2CError) {
        guard let first = bytes.first else { return }
        pointer = first
        for byte in bytes.dropFirst() {
            registers[Int(pointer)] = byte
            pointer &+= 1
        }
    }

    public func read(_ count: Int) throws(I2CError) -> [UInt8] {
        (0..<count).map { _ in
            defer { pointer &+= 1 }
            return registers[Int(pointer)]
        }
    }
}
