import SensorKit

/// Bosch's BME280 (temperature, pressure, humidity) and BMP280 (without humidity) at an I2C bus. README.md has
/// registers and formulae.
public struct BME280Driver: Driver {
    public static let name = "bme280"
    public static let summary = "temperature, pressure, humidity (I2C, Bosch BME280 and BMP280)"
    public static let defaultInterval = Duration.seconds(10)

    static let fields = [
        Field(name: "temperature_celsius", type: .float),
        Field(name: "pressure_pascals", type: .float),
        Field(name: "humidity_percent", type: .float),
    ]
    static let functions = [
        ControlFunction(name: "set_oversampling", parameters: [Field(name: "oversampling", type: .int)]),
        ControlFunction(name: "set_filter", parameters: [Field(name: "filter", type: .int)]),
    ]
    /// With the pin SDO low, and high.
    public static let i2cAddresses: [UInt8] = [0x76, 0x77]
    public static let i2cIdentity = I2CIdentity.register(BME280Register.id) { BME280Kind(id: $0) != nil }

    /// Data sheet, "Parameter Specification", operating ranges.
    private static let temperatureRange = PhysicalRange("temperature", -40...85, "°C")
    private static let pressureRange = PhysicalRange("pressure", 30_000...110_000, "Pa")

    private let chip: I2CDevice
    private let type: SensorType
    private let log: Log
    private var oversampling: BME280Oversampling
    private var filter: BME280Filter
    /// Read from the chip at first, and after a fault: another one may have been plugged in.
    private var known: BME280Calibration?

    public init(_ context: DriverContext) throws(ValidationError) {
        try context.requireFields(Self.fields)
        try context.requireFunctions(among: Self.functions)
        context.warnOfSimilarAttributes(to: I2CDevice.attributes + ["oversampling", "filter"])
        chip = try I2CDevice(context, addresses: Self.i2cAddresses)
        type = context.type
        log = context.log
        oversampling = try context.attributes.optional("oversampling").map(BME280Oversampling.init) ?? .once
        filter = try context.attributes.optional("filter").map(BME280Filter.init) ?? .off
    }

    public mutating func read() throws(SensorFault) -> [Measurement] {
        let calibration: BME280Calibration
        if let known { calibration = known } else { calibration = try identify() }
        known = nil
        try measure(withHumidity: calibration.humidity != nil)
        let raw = BME280Raw(try chip.registers(BME280Register.data, count: calibration.humidity == nil ? 6 : 8))
        guard raw.temperature != BME280Raw.none, raw.pressure != BME280Raw.none else {
            throw SensorFault("\(chip.name): the chip has measured nothing")
        }
        let fine = calibration.fineTemperature(raw.temperature)
        var values: JSONObject = [
            "temperature_celsius": .double(
                try Self.temperatureRange.checked(BME280Calibration.celsius(fine), of: chip)),
            "pressure_pascals": .double(
                try Self.pressureRange.checked(calibration.pascals(raw.pressure, fine), of: chip)),
        ]
        if let humidity = calibration.humidity, let value = raw.humidity {
            guard value != BME280Raw.noHumidity else {
                throw SensorFault("\(chip.name): the chip has measured no humidity")
            }
            values["humidity_percent"] = .double(humidity.percent(value, fine))
        }
        let selected = type.select(values)
        guard !selected.isEmpty else {
            throw SensorFault("\(chip.name) is a BMP280, which measures no humidity, and the type has nothing else")
        }
        known = calibration
        return [Measurement(selected)]
    }

    /// Everything is set each time, as the chip forgets it when its power is gone.
    private func measure(withHumidity: Bool) throws(SensorFault) {
        // Humidity first: it counts when the register after it is written ("Register 0xF2 ctrl_hum").
        if withHumidity { try chip.setRegister8(BME280Register.controlHumidity, to: oversampling.bits) }
        try chip.setRegister8(BME280Register.configuration, to: filter.bits << 2)
        let control = oversampling.bits << 5 | oversampling.bits << 2 | BME280Register.forcedMode
        try chip.setRegister8(BME280Register.control, to: control)
        pause(oversampling.maximumDuration)
        let status = try chip.registers(BME280Register.status, count: 2)
        guard status[0] & BME280Register.isMeasuring == 0 else {
            throw SensorFault("\(chip.name): the measurement did not end in time")
        }
        // Forced mode ends by itself.
        let expected = control & ~BME280Register.forcedMode
        guard status[1] == expected else {
            throw SensorFault(
                """
                \(chip.name): the register 0xF4 is \(hexadecimal(status[1])) after a measurement instead of \
                \(hexadecimal(expected)): somebody else sets it, or the chip was without power
                """)
        }
    }

    private func identify() throws(SensorFault) -> BME280Calibration {
        let id = try chip.register8(BME280Register.id)
        guard let kind = BME280Kind(id: id) else {
            throw SensorFault(
                """
                \(chip.name) is no BME280 or BMP280: its id is \(hexadecimal(id)) instead of 0x60 or 0x58\
                \(id == 0x55 ? ": it is a BMP180 or BMP085, for which there is the driver 'bmp085'" : "")
                """)
        }
        // The chip copies its calibration for a moment after its power came.
        guard try chip.register8(BME280Register.status) & BME280Register.isCopying == 0 else {
            throw SensorFault("\(chip.name): the chip is not ready yet: it copies its calibration")
        }
        let first = try chip.registers(BME280Register.calibration, count: 26)
        let second = kind == .bme280 ? try chip.registers(BME280Register.humidityCalibration, count: 7) : nil
        guard let calibration = BME280Calibration(first, humidity: second) else {
            throw SensorFault(
                "\(chip.name): the calibration that the chip has stored cannot be: it is empty or damaged")
        }
        if kind == .bmp280, type.field("humidity_percent") != nil {
            log.info("\(chip.name) is a BMP280, which measures no humidity: readings are without it")
        }
        return calibration
    }

    public mutating func control(_ call: ControlCall) throws(ControlError) {
        switch call.function {
        case "set_oversampling": oversampling = try call.parameter("oversampling", BME280Oversampling.init)
        default: filter = try call.parameter("filter", BME280Filter.init)
        }
    }
}
