/// A GPIO line, as an attribute names it.
public enum LineReference: Sendable, Hashable, CustomStringConvertible {
    /// What the machine's description calls it, as `GPIO17`.
    case name(String)
    case offset(Int, chip: ChipReference)

    /// Reads `"GPIO17"` or `{"chip": "gpiochip0", "offset": 17}`.
    public init(_ reader: DocumentReader) throws(ValidationError) {
        guard reader.value.object != nil else {
            guard reader.value.string != nil else {
                throw reader.error(
                    """
                    expected the name of a line or {"chip": name, "offset": number}, found \(reader.value.kind)
                    """)
            }
            self = .name(try reader.nonEmptyString())
            return
        }
        try reader.allowOnly(["chip", "offset"])
        self = .offset(
            Int(try reader.required("offset").int(0...65_535)), chip: try ChipReference(try reader.required("chip")))
    }

    public var description: String {
        switch self {
        case .name(let name): "'\(name)'"
        case .offset(let offset, let chip): "\(offset) of \(chip)"
        }
    }
}

/// A GPIO chip: a controller with lines.
public enum ChipReference: Sendable, Hashable, CustomStringConvertible {
    /// `/dev/gpiochipN`.
    case number(Int)
    case path(String)
    /// Its name, as `gpiochip0`, or its label, as `pinctrl-bcm2711`, which stays whatever is plugged in.
    case name(String)

    /// Reads `0`, `"/dev/gpiochip0"`, `"gpiochip0"` or `"pinctrl-bcm2711"`.
    public init(_ reader: DocumentReader) throws(ValidationError) {
        if let text = reader.value.string {
            guard !text.isEmpty else { throw reader.error("must not be empty") }
            self = text.hasPrefix("/") ? .path(text) : .name(try reader.string())
        } else {
            self = .number(Int(try reader.int(0...65_535)))
        }
    }

    public var description: String {
        switch self {
        case .number(let number): "gpiochip\(number)"
        case .path(let path): path
        case .name(let name): "'\(name)'"
        }
    }
}
