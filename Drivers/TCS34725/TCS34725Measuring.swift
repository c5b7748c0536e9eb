import SensorKit

struct TCS34725Settings: Equatable {
    /// The place in the list, which is the value of the register CONTROL.
    private var gainIndex = 1
    /// Of 2.4 ms.
    private var cycles = 64

    private static let gains: [Int64] = [1, 4, 16, 60]
    private static let cycle = 2.4

    mutating func setGain(_ reader: DocumentReader) throws(ValidationError) {
        gainIndex = try reader.index(among: Self.gains)
    }

    /// Takes the nearest that the chip has.
    mutating func setTime(_ reader: DocumentReader) throws(ValidationError) {
        cycles = Int((try reader.number(in: Self.cycle...Self.cycle * 256) / Self.cycle).rounded())
    }

    var gain: Int64 { Self.gains[gainIndex] }
    var gainRegister: UInt8 { UInt8(gainIndex) }
    /// ATIME: 256 less the number of cycles.
    var timeRegister: UInt8 { UInt8(256 - cycles) }
    var milliseconds: Double { (Double(cycles) * Self.cycle * 10).rounded() / 10 }
    /// A cycle takes 2.56 ms at most (data sheet, "Operating Characteristics").
    var maximumDuration: Duration { .milliseconds(Int64(Double(cycles + 1) * 2.56) + 1) }
    /// The highest count: 1024 for each cycle.
    var limit: UInt16 { UInt16(min(65_535, cycles * 1_024)) }
}

/// What was counted behind no filter, and behind three.
struct TCS34725Counts {
    let clear: UInt16
    let red: UInt16
    let green: UInt16
    let blue: UInt16

    /// The clear channel comes first to its limit. Below 150 ms, mains light flickers within an integration, and 75 %
    /// is too much already (ams, DN40, "ripple saturation").
    func isSaturated(_ settings: TCS34725Settings) -> Bool {
        let limit = settings.limit
        let usable = settings.milliseconds < 150 ? limit - limit / 4 : limit
        return clear >= usable || max(red, green, blue) >= limit
    }

    /// ams, DN40, with the coefficients of the TCS3472; a colour temperature only where there is light.
    func values(_ settings: TCS34725Settings, glassFactor: Double) -> JSONObject {
        let infrared = max(0, (Double(red) + Double(green) + Double(blue) - Double(clear)) / 2)
        let red = Double(red) - infrared, green = Double(green) - infrared, blue = Double(blue) - infrared
        let countsPerLux = settings.milliseconds * Double(settings.gain) / (glassFactor * 310)
        var values: JSONObject = [
            "illuminance_lux": .double(max(0, (0.136 * red + green - 0.444 * blue) / countsPerLux)),
            "clear_count": .int(Int64(clear)), "red_count": .int(Int64(self.red)),
            "green_count": .int(Int64(self.green)), "blue_count": .int(Int64(self.blue)),
        ]
        if red > 0, blue >= 0 { values["colour_temperature_kelvin"] = .double(3_810 * blue / red + 1_391) }
        return values
    }
}
