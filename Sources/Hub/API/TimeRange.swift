import HubModel
import Postgres

/// The range of time that a request asks for: `since` and `until`, in microseconds since 1970, both of them optional.
struct TimeRange {
    /// From this moment on.
    let since: Int64
    /// Before this moment.
    let until: Int64

    private static let limits: ClosedRange<Int64> = 0...4_102_444_800_000_000

    init(_ parameters: DocumentReader) throws(ValidationError) {
        since = try parameters.optional("since")?.int(Self.limits) ?? Self.limits.lowerBound
        let end = try parameters.optional("until")
        until = try end?.int(Self.limits) ?? Self.limits.upperBound
        if let end, until < since { throw end.error("is before 'since'") }
    }

    /// In seconds, for `to_timestamp`.
    var parameters: [Parameter] { [.double(Double(since) / 1e6), .double(Double(until) / 1e6)] }
}
