import SensorKit

/// Files of a device of the kernel's that are written before it is read, and by calls: the attribute `settings`, as
/// `{"in_illuminance_integration_time": "0.1"}`. Calls reach those files only that are named there.
struct KernelSettings {
    private var wanted: [(file: String, text: String)] = []
    private var isSet = false

    static let functions = [
        ControlFunction(
            name: "set", parameters: [Field(name: "setting", type: .string), Field(name: "value", type: .string)])
    ]

    init(_ attributes: DocumentReader) throws(ValidationError) {
        guard let settings = try attributes.optional("settings") else { return }
        for (key, value) in try settings.members() {
            let name = DocumentReader(.string(key), path: value.path)
            wanted.append((try KernelChannel.fileName(name), try Self.text(value)))
        }
    }

    private static func text(_ reader: DocumentReader) throws(ValidationError) -> String {
        let text =
            if let whole = reader.value.int {
                "\(whole)"
            } else if reader.value.string != nil {
                try reader.nonEmptyString()
            } else {
                "\(try reader.double())"
            }
        guard text.utf8.count <= 80 else { throw reader.error("is too long: at most 80 bytes") }
        return text
    }

    /// Writes them, where that was not done since the device was there last.
    mutating func apply(to device: KernelDevice) throws(SensorFault) {
        guard !isSet else { return }
        for (file, text) in wanted { try device.set(file, to: text) }
        isSet = true
    }

    /// The device may be another one next time.
    mutating func forget() { isSet = false }

    /// The function `set`.
    mutating func control(_ call: ControlCall) throws(ControlError) {
        let file = try call.parameter("setting") { (reader) throws(ValidationError) in try reader.string() }
        let text = try call.parameter("value", Self.text)
        guard let index = wanted.firstIndex(where: { $0.file == file }) else {
            let names = wanted.map(\.file)
            throw .refused(
                "setting: '\(file.prefix(80))' is not in the attribute 'settings'\(didYouMean(file, among: names))")
        }
        wanted[index].text = text
        isSet = false
    }
}
