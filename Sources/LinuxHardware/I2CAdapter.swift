import SensorKit

/// An I2C adapter that the module i2c-dev shows: `/dev/i2c-N`.
struct I2CAdapter: Hashable {
    let number: Int
    /// What its driver in the kernel calls it.
    let name: String

    var path: String { "/dev/i2c-\(number)" }

    private static let folder = "/sys/class/i2c-dev"

    /// All that there are, by number.
    static var all: [I2CAdapter] {
        ((try? Folder.names(in: folder)) ?? []).compactMap { entry in
            guard entry.hasPrefix("i2c-"), let number = Int(entry.dropFirst(4)) else { return nil }
            let text = (try? File.text(of: "\(folder)/\(entry)/name", limit: 256)) ?? ""
            return I2CAdapter(number: number, name: String(text.prefix { $0 != "\n" }))
        }.sorted { $0.number < $1.number }
    }

    static func find(_ number: Int) throws(SensorFault) -> I2CAdapter {
        let all = all
        if let match = all.first(where: { $0.number == number }) { return match }
        throw SensorFault("there is no I2C bus \(number)" + others(all))
    }

    static func find(path: String) throws(SensorFault) -> I2CAdapter {
        guard path.hasPrefix("/dev/i2c-"), let number = Int(path.dropFirst("/dev/i2c-".count)) else {
            throw SensorFault("\(path) is no path of an I2C bus, as /dev/i2c-1" + others(all))
        }
        return try find(number)
    }

    static func find(name: String) throws(SensorFault) -> I2CAdapter {
        let all = all
        let matches = all.filter { $0.name == name }
        if matches.count == 1 { return matches[0] }
        guard matches.isEmpty else {
            throw SensorFault(
                "'\(name)' is the name of \(matches.count) I2C buses; say which by its number" + others(matches))
        }
        throw SensorFault("there is no I2C bus '\(name)'" + others(all) + didYouMean(name, among: all.map(\.name)))
    }

    private static func others(_ adapters: [I2CAdapter]) -> String {
        guard !adapters.isEmpty else {
            return ", nor any other: is I2C switched on, and the kernel's module i2c-dev loaded?"
        }
        let list = adapters.prefix(20).map { "\($0.number) '\($0.name)'" }.joined(separator: ", ")
        return "; there are: \(list)"
    }

    /// The driver of the kernel that has the chip at an address.
    func kernelDriver(at address: UInt8) -> String? {
        let digits = String(address, radix: 16)
        let entry = "\(number)-\(String(repeating: "0", count: 4 - digits.count))\(digits)"
        return KernelLink.last(of: "/sys/bus/i2c/devices/\(entry)/driver")
    }
}
