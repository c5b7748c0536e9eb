import SensorKit

/// Bosch's BMP180 and BMP085, temperature and pressure at an I2C bus. README.md has registers and formulae.
public struct BMP085Driver: Driver {
    public static let name = "bmp085"
    public static let summary = "temperature, pressure (I2C, Bosch BMP180 and BMP085)"
    public static let defaultInterval = Duration.seconds(10)

    static let fields = [
        Field(name: "temperature_celsius", type: .float),
        Field(name: "pressure_pascals", type: .float),
    ]
    static let functions = [
        ControlFunction(name: "set_oversampling", parameters: [Field(name: "oversampling", type: .int)])
    ]
    public static let i2cAddresses: [UInt8] = [0x77]
    public static let i2cIdentity = I2CIdentity.register(BMP085Register.id) { $0 == BMP085Register.expectedID }

    /// Data sheet, "Electrical characteristics", operating temperature and pressure range.
    private static let temperatureRange = PhysicalRange("temperature", -40...85, "°C")
    private static let pressureRange = PhysicalRange("pressure", 30_000...110_000, "Pa")

    private let chip: I2CDevice
    private let type: SensorType
    private var oversampling: BMP085Oversampling
    /// Read from the chip at first, and after a fault: another one may have been plugged in.
    private var known: BMP085Calibration?

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields(Self.fields)
        try context.requireFunctions(among: Self.functions)
        context.warnOfSimilarAttributes(to: I2CDevice.attributes + ["oversampling"])
        chip = try I2CDevice(context, addresses: Self.i2cAddresses)
        type = context.type
        oversampling = try context.attributes.optional("oversampling").map(BMP085Oversampling.init) ?? .once
    }

    public mutating func read() throws(SensorFault) -> [Measurement] {
        let calibration: BMP085Calibration
        if let known { calibration = known } else { calibration = try identify() }
        known = nil
        try measure(BMP085Register.measureTemperature, BMP085Oversampling.once.maximumDuration)
        let temperature = try chip.registers(BMP085Register.result, count: 2).uint16(at: 0, .bigEndian)
        try measure(oversampling.command, oversampling.maximumDuration)
        let pressure = try chip.registers(BMP085Register.result, count: 3).uint24(at: 0, .bigEndian)
        guard let b5 = calibration.b5(rawTemperature: Int(temperature)),
            let pascals = calibration.pascals(
                raw: Int(pressure) >> (8 - oversampling.exponent), b5: b5, exponent: oversampling.exponent)
        else {
            throw SensorFault("\(chip.name): what the chip measured fits no temperature and pressure at all")
        }
        let values: JSONObject = [
            "temperature_celsius": .double(
                try Self.temperatureRange.checked(BMP085Calibration.celsius(b5: b5), of: chip)),
            "pressure_pascals": .double(try Self.pressureRange.checked(Double(pascals), of: chip)),
        ]
        known = calibration
        return [Measurement(type.select(values))]
    }

    private func measure(_ command: UInt8, _ duration: Duration) throws(SensorFault) {
        try chip.setRegister8(BMP085Register.control, to: command)
        pause(duration)
        // A BMP085 does not have this bit, and says 0.
        guard try chip.register8(BMP085Register.control) & BMP085Register.isMeasuring == 0 else {
            throw SensorFault("\(chip.name): the measurement did not end in time")
        }
    }

    private func identify() throws(SensorFault) -> BMP085Calibration {
        let id = try chip.register8(BMP085Register.id)
        guard id == BMP085Register.expectedID else {
            let isBME280 = BME280Kind(id: id) != nil
            throw SensorFault(
                """
                \(chip.name) is no BMP180 or BMP085: its id is \(hexadecimal(id)) instead of 0x55\
                \(isBME280 ? ": it is a BME280 or BMP280, for which there is the driver 'bme280'" : "")
                """)
        }
        guard
            let calibration = BMP085Calibration(
                try chip.registers(BMP085Register.calibration, count: BMP085Calibration.size))
        else {
            throw SensorFault(
                "\(chip.name): the calibration that the chip has stored cannot be: it is empty or damaged")
        }
        return calibration
    }

    public mutating func control(_ call: ControlCall) throws(ControlError) {
        oversampling = try call.parameter("oversampling", BMP085Oversampling.init)
    }
}
