import SensorKit

/// An I2C bus of two GPIO lines, for machines without a controller: the program moves the lines as a controller would
/// (NXP, UM10204, I2C-bus specification, section 3.1). Chips may stretch the clock.
///
/// The process holds the lines, so all chips of such a bus must be read by one driver; the kernel's i2c-gpio makes one
/// that can be shared.
final class BitBangedI2CBus: I2CBus {
    let name: String
    private let sda: any GPIOLines
    private let scl: any GPIOLines
    private let halfPeriod: Duration
    private let timeout: Duration

    init(_ settings: BitBangedBusSettings, hardware: any Hardware, user: String) throws(SensorFault) {
        name = I2CBusReference.lines(settings).description
        halfPeriod = settings.halfPeriod
        timeout = settings.timeout
        // Open drain: a line is pulled down or let go, never driven up against somebody who pulls it down.
        func take(_ line: LineReference) throws(SensorFault) -> any GPIOLines {
            try hardware.takeLines(LineRequest([line], .output([true], .openDrain), bias: .pullUp, consumer: user))
        }
        sda = try take(settings.sda)
        scl = try take(settings.scl)
    }

    /// The lines are held, so the kernel has no driver there.
    func kernelDriver(at address: UInt8) -> String? { nil }

    func transfer(_ messages: [I2CMessage], to address: UInt8) throws(I2CError) -> [UInt8] {
        guard !messages.isEmpty else { throw I2CError(.notSupported, "a transfer without messages") }
        try free()
        var read: [UInt8] = []
        do throws(I2CError) {
            for message in messages {
                try start()
                try write(address << 1 | (message.isRead ? 1 : 0))
                switch message {
                case .write(let bytes): for byte in bytes { try write(byte) }
                case .read(let count):
                    // All but the last byte are acknowledged: that is how the chip learns that there is no more to say.
                    for index in 0..<count { read.append(try self.read(isLast: index == count - 1)) }
                }
            }
        } catch {
            // Whatever went wrong, the bus is not to be left in the middle of it.
            try? stop()
            throw error
        }
        try stop()
        return read
    }

    // MARK: Conditions

    /// Makes sure that nobody holds the bus. A chip that was interrupted while it sent holds the data line until it has
    /// got the rest of its clock pulses (UM10204, 3.1.16).
    private func free() throws(I2CError) {
        try set(sda, true)
        try raiseClock()
        var pulses = 0
        while try !value(sda) {
            guard pulses < 9 else { throw I2CError(.timeout, "the data line is held low") }
            try set(scl, false)
            wait()
            try raiseClock()
            wait()
            pulses += 1
        }
        if pulses > 0 { try stop() }
    }

    /// The data line falls while the clock is high.
    private func start() throws(I2CError) {
        try set(sda, true)
        wait()
        try raiseClock()
        wait()
        guard try value(sda) else { throw I2CError(.busy, "somebody else holds the data line") }
        try set(sda, false)
        wait()
        try set(scl, false)
    }

    /// The data line rises while the clock is high.
    private func stop() throws(I2CError) {
        try set(scl, false)
        try set(sda, false)
        wait()
        try raiseClock()
        wait()
        try set(sda, true)
        wait()
    }

    // MARK: Bytes and bits

    private func write(_ byte: UInt8) throws(I2CError) {
        for bit in stride(from: 7, through: 0, by: -1) { try write(bit: byte >> UInt8(bit) & 1 == 1) }
        guard try !readBit() else { throw I2CError(.noAnswer, "not acknowledged") }
    }

    private func read(isLast: Bool) throws(I2CError) -> UInt8 {
        var byte: UInt8 = 0
        for _ in 0..<8 { byte = byte << 1 | (try readBit() ? 1 : 0) }
        try write(bit: isLast)
        return byte
    }

    private func write(bit: Bool) throws(I2CError) {
        try set(sda, bit)
        wait()
        try raiseClock()
        wait()
        if bit, try !value(sda) { throw I2CError(.busy, "another master has won the bus") }
        try set(scl, false)
    }

    private func readBit() throws(I2CError) -> Bool {
        try set(sda, true)
        wait()
        try raiseClock()
        wait()
        let bit = try value(sda)
        try set(scl, false)
        return bit
    }

    /// Lets the clock go and waits until it is high: a chip that needs time holds it.
    private func raiseClock() throws(I2CError) {
        try set(scl, true)
        let deadline = Instant.now + timeout
        while true {
            // Asked before the line is: it may be the process that was late, and not the chip.
            let isLate = Instant.now >= deadline
            if try value(scl) { return }
            guard !isLate else { throw I2CError(.timeout, "the clock line is held low") }
            wait()
        }
    }

    // MARK: Lines

    private func wait() { pause(halfPeriod) }

    private func set(_ line: any GPIOLines, _ value: Bool) throws(I2CError) {
        do throws(SensorFault) {
            try line.set([value])
        } catch {
            throw I2CError(.gone, error.reason)
        }
    }

    private func value(_ line: any GPIOLines) throws(I2CError) -> Bool {
        do throws(SensorFault) {
            return try line.values()[0]
        } catch {
            throw I2CError(.gone, error.reason)
        }
    }
}
