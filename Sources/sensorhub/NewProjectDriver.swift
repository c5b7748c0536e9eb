import Embedded
import Files
import HubModel

/// A driver that is to come with sensorhub: a folder under Drivers/ of a checkout.
struct NewProjectDriver {
    /// The folder of the checkout.
    private let checkout: String
    /// The driver's folder in Drivers/, after which its code is named.
    let folder: String

    /// Nil where `dir` is no folder in a checkout's Drivers/.
    init?(_ dir: String) {
        let path = DataDirectory(dir).path
        let drivers = Folder.parent(of: path)
        checkout = Folder.parent(of: drivers)
        folder = String(path.split(separator: "/").last ?? "")
        guard File.exists("\(drivers)/Drivers.swift"), File.exists("\(checkout)/Package.swift") else { return nil }
    }

    /// What sensors name it by.
    var name: String { folder.lowercased() }

    /// Makes the folder, and names it in the two lists of drivers.
    ///
    /// - Parameters:
    ///   - template: the folder of templates.
    ///   - kind: the template's.
    ///   - fill: puts in the words that all templates have.
    /// - Returns: how many files were made.
    func make(from template: String, kind: String, _ fill: (String) -> String) throws -> Int {
        guard let first = folder.utf8.first, (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(first),
            Identifier(folder) != nil, !folder.contains("-")
        else {
            throw CommandError(
                "'\(folder)' cannot be a folder of Drivers/: a capital letter, then letters, digits and '_', as BME280")
        }
        guard File.isFolder("\(template)/project/\(kind)") else {
            throw CommandError("a driver in Drivers/ is for a chip or a line: --i2c or --gpio says which")
        }
        // Before anything is made, so that nothing is left half done.
        let package = try listed("\"\(folder)\",", in: "Package.swift", after: "let hardwareDrivers = [")
        let drivers = try listed("\(folder)Driver.self,", in: "Drivers/Drivers.swift", after: "Driver.Type] = [")
        func filled(_ text: String) -> String {
            fill(text).replacing("@testable import MyDriver", with: "@testable import Drivers")
                .replacing("MyDriverTests", with: "\(folder)Tests").replacing("MyDriver", with: "\(folder)Driver")
        }
        var files = [
            ("\(kind)/MyDriver.swift", "\(folder).swift"),
            ("\(kind)/MyDriverTests.swift", "Tests/\(folder)Tests.swift"),
            ("MY-NAME.type.json", "\(folder).type.json"), ("project/README.md", "README.md"),
        ]
        files += try Folder.names(in: "\(template)/project/\(kind)").filter { $0.hasSuffix(".py") }.map {
            ("project/\(kind)/\($0)", "Lab/\(fill($0))")
        }
        for (source, target) in files {
            let path = "\(checkout)/Drivers/\(folder)/\(target)"
            try Folder.make(Folder.parent(of: path), mode: 0o755)
            try File.replace(path, with: filled(try File.text(of: "\(template)/\(source)")).utf8, mode: 0o644)
        }
        try File.replace("\(checkout)/Package.swift", with: package.utf8, mode: 0o644)
        try File.replace("\(checkout)/Drivers/Drivers.swift", with: drivers.utf8, mode: 0o644)
        return files.count
    }

    /// The file's text with one more member of a list that has one on each line, by the alphabet.
    private func listed(_ member: String, in file: String, after beginning: String) throws -> String {
        var lines = try File.text(of: "\(checkout)/\(file)").split(separator: "\n", omittingEmptySubsequences: false)
            .map(String.init)
        guard let start = lines.firstIndex(where: { $0.hasSuffix(beginning) }),
            let end = lines[start...].firstIndex(of: "]")
        else { throw CommandError("\(file) has no list '\(beginning)'; is it of this version?") }
        let line = "    \(member)"
        let place = lines[(start + 1)..<end].firstIndex { $0.lowercased() > line.lowercased() } ?? end
        lines.insert(line, at: place)
        return lines.joined(separator: "\n")
    }
}
