/// Two GPIO lines that are an I2C bus. Both need a pull-up.
public struct BitBangedBusSettings: Sendable, Hashable {
    public let sda: LineReference
    public let scl: LineReference
    /// Half of a clock period at least; how fast it really goes is up to the machine.
    public let halfPeriod: Duration
    /// How long a chip may hold the clock line down (clock stretching), or a line may be held by anybody.
    public let timeout: Duration

    public init(
        sda: LineReference, scl: LineReference, halfPeriod: Duration = .microseconds(5),
        timeout: Duration = .milliseconds(25)
    ) {
        self.sda = sda
        self.scl = scl
        self.halfPeriod = halfPeriod
        self.timeout = timeout
    }

    /// Reads `{"sda": line, "scl": line, "half_period_us": 5, "timeout_ms": 25}`; the last two may be missing.
    public init(_ reader: DocumentReader) throws(ValidationError) {
        try reader.allowOnly(["sda", "scl", "half_period_us", "timeout_ms"])
        let scl = try reader.required("scl")
        self.init(
            sda: try LineReference(try reader.required("sda")), scl: try LineReference(scl),
            halfPeriod: .microseconds(try reader.optional("half_period_us")?.int(1...100_000) ?? 5),
            timeout: .milliseconds(try reader.optional("timeout_ms")?.int(1...1_000) ?? 25))
        guard self.sda != self.scl else { throw scl.error("is the same line as 'sda'") }
    }
}
