import SensorKit

/// Attributes and parameters that are one of a few things.
extension DocumentReader {
    /// The case of an enum that is written as its word.
    func choice<Choice: RawRepresentable & CaseIterable>(
        of type: Choice.Type = Choice.self
    ) throws(ValidationError) -> Choice where Choice.RawValue == String {
        let word = try string()
        if let choice = Choice(rawValue: word) { return choice }
        let words = Choice.allCases.map(\.rawValue)
        throw error("'\(word.prefix(80))' is none of \(words.joined(separator: ", "))\(didYouMean(word, among: words))")
    }

    /// The place in a list of the whole number that is written.
    func index(among numbers: [Int64]) throws(ValidationError) -> Int {
        let number = try int()
        if let index = numbers.firstIndex(of: number) { return index }
        throw error("\(number) is none of \(numbers.map(String.init).joined(separator: ", "))")
    }

    /// The place in a list of the number that is written.
    func index(among numbers: [Double]) throws(ValidationError) -> Int {
        let number = try double()
        if let index = numbers.firstIndex(of: number) { return index }
        throw error("\(number) is none of \(numbers.map { "\($0)" }.joined(separator: ", "))")
    }
}

extension ControlCall {
    /// A parameter, read as the attribute of the same name is.
    ///
    /// - Throws: `.refused` where it is none of what can be set.
    func parameter<Value>(
        _ name: String, _ read: (DocumentReader) throws(ValidationError) -> Value
    ) throws(ControlError) -> Value {
        do throws(ValidationError) {
            return try read(try DocumentReader(.object(parameters)).required(name))
        } catch {
            throw .refused(error.description)
        }
    }
}
