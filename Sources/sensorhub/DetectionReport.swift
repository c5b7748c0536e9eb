import SimdJSON

/// What `sensor-driver --detect` found, with what it takes to register it.
struct DetectionReport {
    /// As sensor-driver says it; the entries in `sensors` have the node, and `types` are the files to register first.
    let json: JSON

    init(_ found: JSON, node: String?, types: DriverTypes) {
        let sensors = (found["sensors"]?.array ?? []).map { sensor -> JSON in
            guard let node, var entry = sensor.object else { return sensor }
            entry["node"] = .string(node)
            return .object(entry)
        }
        var files: [String] = []
        for sensor in sensors {
            let file = types.file(of: sensor.plain("sensor_type"))
            if let file, !files.contains(file) { files.append(file) }
        }
        var object = found.object ?? [:]
        object["sensors"] = .array(sensors)
        object["types"] = .array(files.map { .string($0) })
        json = .object(object)
    }

    private func items(_ key: String) -> [JSON] { json[key]?.array ?? [] }

    /// For people.
    var lines: [String] {
        let found = gpio + i2c + kernel
        guard !found.isEmpty || !items("faults").isEmpty else {
            return [
                "This machine shows neither GPIO lines nor I2C buses, nor sensors of the kernel's.",
                "Are they switched on (on a Raspberry Pi in config.txt), and is the module i2c-dev loaded? A container or a",
                "virtual machine sees only what it is given.",
            ]
        }
        return found + faults + proposals
    }

    private var gpio: [String] {
        items("gpio").flatMap { chip -> [String] in
            let all = chip["lines"]?.array ?? []
            var table = Table(["  line", "name", "direction", "held by"])
            for line in all where line["name"]?.string != "" || line["used"]?.bool == true {
                let holder = line.plain("consumer")
                let isUsed = line["used"]?.bool == true
                table.add([
                    "  \(line.plain("offset"))", line.plain("name"), line.plain("direction"),
                    isUsed ? (holder.isEmpty ? "somebody" : holder) : "",
                ])
            }
            return ["GPIO \(chip.plain("chip")) '\(chip.plain("label"))', \(all.count) lines"]
                + (table.isEmpty ? ["  none has a name or is in use"] : table.lines) + [""]
        }
    }

    private var i2c: [String] {
        items("i2c").flatMap { bus -> [String] in
            var lines = ["I2C bus \(bus.plain("bus")) '\(bus.plain("name"))'"]
            for chip in bus["chips"]?.array ?? [] {
                let drivers = chip.plain("drivers")
                let kernel = chip.plain("kernel_driver")
                let answer =
                    if !kernel.isEmpty {
                        "the kernel's driver '\(kernel)' has it"
                    } else if drivers.isEmpty {
                        "answers; no driver of ours is for it"
                    } else {
                        "answers; \(chip["identified"]?.bool == true ? "is" : "could be"): \(drivers)"
                    }
                lines.append("  \(chip.plain("address"))  \(answer)")
            }
            switch bus.plain("scan") {
            case "none":
                let number = bus.plain("bus")
                lines.append(
                    "  not asked, since \(bus.plain("reason")), where questions can do harm; --bus \(number) asks")
            case "known":
                lines.append(
                    "  asked were only addresses of our drivers' chips, without 0x30 to 0x37 and 0x50 to 0x5F;")
                lines.append("  --probe asks all, which some chips mind")
            default: break
            }
            return lines + [""]
        }
    }

    private var kernel: [String] {
        let devices = items("kernel")
        guard !devices.isEmpty else { return [] }
        return ["Sensors of the kernel's"]
            + devices.map { "  \($0.plain("subsystem"))  \($0.plain("device"))  \($0.plain("name"))" } + [""]
    }

    private func text(_ document: JSON) -> [String] {
        document.text(indented: true).split(separator: "\n").map(String.init)
    }

    private var faults: [String] {
        let faults = items("faults").map(\.plain)
        return faults.isEmpty ? [] : ["Could not be seen"] + faults.map { "  \($0)" } + [""]
    }

    private var proposals: [String] {
        var lines: [String] = []
        if !items("gpio").isEmpty {
            lines.append(
                "What is at a GPIO line cannot be seen; sensor-driver --list has drivers for buttons and relays.")
        }
        let sensors = items("sensors")
        guard !sensors.isEmpty else {
            return lines + ["Nothing was found that could be registered as it is."]
        }
        let types = items("sensor_type_list")
        if !types.isEmpty {
            lines.append("For sensorTypeRegistration.json; leave out what you do not want, in both files:")
            lines += text(["sensor_type_list": .array(types)])
        }
        lines.append(
            "For sensorInstance.json; of several entries for an address keep the one of the chip that is there:")
        lines += text(.array(sensors))
        lines.append("To register it:")
        lines += items("types").map { "  sensorhub types register \($0.plain)" }
        if !types.isEmpty { lines.append("  sensorhub types register sensorTypeRegistration.json") }
        lines.append("  sensorhub sensors register sensorInstance.json")
        if sensors[0]["node"] == nil {
            lines.append("A hub with several nodes needs \"node\" in each entry: --node ID adds it.")
        }
        return lines
    }
}
