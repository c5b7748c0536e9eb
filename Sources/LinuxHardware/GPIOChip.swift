import CHardware
import Glibc
import SensorKit

/// A GPIO chip that is open: `/dev/gpiochipN`.
final class GPIOChip {
    let path: String
    let handle: OpaquePointer
    let name: String
    let label: String
    let lineCount: Int

    init(_ path: String) throws(SensorFault) {
        guard let handle = sh_gpio_chip_open(path) else {
            let code = errno
            if code == ENODEV || code == ENOTTY || code == EINVAL { throw SensorFault("\(path) is no GPIO chip") }
            throw DeviceNode.fault(path, code)
        }
        var info = sh_gpio_chip_info()
        guard sh_gpio_get_chip_info(handle, &info) == 0 else {
            let code = errno
            sh_gpio_chip_close(handle)
            throw SensorFault(FileError(path, code).description)
        }
        self.path = path
        self.handle = handle
        name = Self.text(&info.name)
        label = Self.text(&info.label)
        lineCount = Int(info.line_count)
    }

    deinit {
        sh_gpio_chip_close(handle)
    }

    /// `gpiochip0 'pinctrl-bcm2711'`
    var title: String { label.isEmpty ? name : "\(name) '\(label)'" }

    struct Line {
        let offset: Int
        /// Empty where it has none.
        let name: String
        /// Empty where nobody holds it, or the holder does not say.
        let consumer: String
        let isUsed: Bool
        let isOutput: Bool
        let isActiveLow: Bool
    }

    func line(_ offset: Int) throws(SensorFault) -> Line {
        var info = sh_gpio_line_info()
        guard sh_gpio_get_line_info(handle, UInt32(offset), &info) == 0 else {
            throw SensorFault("line \(offset) of \(title): \(String(cString: strerror(errno)))")
        }
        return Line(
            offset: offset, name: Self.text(&info.name), consumer: Self.text(&info.consumer), isUsed: info.is_used != 0,
            isOutput: info.is_output != 0, isActiveLow: info.is_active_low != 0)
    }

    /// Of a C array of characters that ends with NUL.
    private static func text<Characters>(_ characters: inout Characters) -> String {
        withUnsafeBytes(of: &characters) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    // MARK: Which there are

    /// The paths of all chips, by number.
    static var paths: [String] {
        ((try? Folder.names(in: "/dev")) ?? []).filter { $0.hasPrefix("gpiochip") }
            .sorted { ($0.count, $0) < ($1.count, $1) }.map { "/dev/\($0)" }
    }

    /// All chips that can be opened.
    ///
    /// - Returns: also why the first one that could not be opened could not.
    static func all() -> (chips: [GPIOChip], fault: SensorFault?) {
        var chips: [GPIOChip] = []
        var fault: SensorFault?
        for path in paths {
            do throws(SensorFault) {
                chips.append(try GPIOChip(path))
            } catch {
                fault = fault ?? error
            }
        }
        return (chips, fault)
    }

    static func find(_ reference: ChipReference) throws(SensorFault) -> GPIOChip {
        let path: String
        switch reference {
        case .number(let number): path = "/dev/gpiochip\(number)"
        case .path(let given): path = given
        case .name(let name):
            if name.hasPrefix("gpiochip"), paths.contains("/dev/\(name)") { return try GPIOChip("/dev/\(name)") }
            let (chips, fault) = all()
            let matches = chips.filter { $0.label == name }
            if matches.count == 1 { return matches[0] }
            // Perhaps it is one of those that could not be opened.
            if matches.isEmpty, let fault { throw fault }
            throw SensorFault(
                matches.isEmpty
                    ? "there is no GPIO chip '\(name)'" + others(chips) + didYouMean(name, among: chips.map(\.label))
                    : "'\(name)' is the label of \(matches.count) GPIO chips; say which by its name" + others(matches))
        }
        guard File.exists(path) else { throw SensorFault("there is no GPIO chip \(path)" + others(all().chips)) }
        return try GPIOChip(path)
    }

    private static func others(_ chips: [GPIOChip]) -> String {
        guard !chips.isEmpty else { return ", nor any other" }
        let list = chips.prefix(20).map { "\($0.title) with \($0.lineCount) lines" }
        return "; there are: \(list.joined(separator: ", "))"
    }
}
