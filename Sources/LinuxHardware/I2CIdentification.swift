import SensorKit

/// Which of the drivers that an address could be for are left when the chip was asked what it is.
///
/// Only registers are read, of chips that have one which says so, and only where no chip of our drivers is that takes the
/// register's number as something to do.
struct I2CIdentification {
    let drivers: [String]
    /// The chip has said that it is what the one driver is for.
    let isCertain: Bool

    /// - Parameter asks: the chip may be asked.
    init(
        at address: UInt8, of bus: any I2CBus, _ drivers: [any Driver.Type], asks: Bool
    ) throws(I2CError) {
        var candidates = drivers.filter { $0.i2cAddresses.contains(address) }
        guard asks, !candidates.contains(where: { $0.i2cIdentity.forbidsQuestions }) else {
            self.drivers = candidates.map { $0.name }
            isCertain = false
            return
        }
        for driver in candidates {
            guard case .register(let register, let isRight) = driver.i2cIdentity else { continue }
            if let id = try Self.read(register, at: address, of: bus), isRight(id) {
                self.drivers = [driver.name]
                isCertain = true
                return
            }
            candidates.removeAll { $0 == driver }
        }
        self.drivers = candidates.map { $0.name }
        isCertain = false
    }

    /// Nil where the chip does not take the number of the register, and so is none of those that have it.
    private static func read(_ register: UInt8, at address: UInt8, of bus: any I2CBus) throws(I2CError) -> UInt8? {
        do throws(I2CError) {
            return try bus.transfer([.write([register]), .read(1)], to: address)[0]
        } catch {
            guard error.code == .timeout || error.code == .gone else { return nil }
            throw error
        }
    }
}

extension I2CIdentity {
    fileprivate var forbidsQuestions: Bool {
        if case .disturbedByBytes = self { true } else { false }
    }
}
