import CPQ

/// The rows of a result.
public struct Rows {
    private let result: Result

    fileprivate final class Result {
        let pointer: OpaquePointer
        init(_ pointer: OpaquePointer) { self.pointer = pointer }
        deinit { PQclear(pointer) }
    }

    init(_ pointer: OpaquePointer) {
        result = Result(pointer)
    }

    /// How many rows an INSERT, UPDATE or DELETE touched.
    public var affected: Int { Int(String(cString: PQcmdTuples(result.pointer))) ?? 0 }

    /// One row of a result.
    public struct Row {
        private let result: Rows.Result
        private let index: Int32

        fileprivate init(_ result: Rows.Result, _ index: Int32) {
            self.result = result
            self.index = index
        }

        /// The value of a column as PostgreSQL writes it; nil for NULL. A column that the statement does not have is a
        /// programmer's mistake.
        public func optional(_ column: String) -> String? {
            let number = PQfnumber(result.pointer, "\"\(column)\"")
            precondition(number >= 0, "no column '\(column)' in the result")
            guard PQgetisnull(result.pointer, index, number) == 0 else { return nil }
            return String(cString: PQgetvalue(result.pointer, index, number))
        }

        /// The value of a column that cannot be NULL.
        public func text(_ column: String) -> String {
            guard let value = optional(column) else { preconditionFailure("column '\(column)' is NULL") }
            return value
        }

        public func int(_ column: String) -> Int64 {
            guard let value = Int64(text(column)) else { preconditionFailure("column '\(column)' is no whole number") }
            return value
        }

        public func bool(_ column: String) -> Bool { text(column) == "t" }

        /// The value of a bytea column.
        public func bytes(_ column: String) -> [UInt8] {
            var count = 0
            let text = text(column)
            guard let bytes = PQunescapeBytea(text, &count) else { fatalError("out of memory") }
            defer { PQfreemem(bytes) }
            return Array(UnsafeBufferPointer(start: bytes, count: count))
        }
    }
}

extension Rows: RandomAccessCollection {
    public var startIndex: Int { 0 }
    public var endIndex: Int { Int(PQntuples(result.pointer)) }
    public subscript(position: Int) -> Row { Row(result, Int32(position)) }
}
