import ArgumentParser
import Embedded
import Files
import HubModel

extension NewCommand {
    struct Driver: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a folder with a working driver of your own: a package with code, test and sensor type.",
            discussion: """
                The driver is named as the folder. What is built is a program sensorhub-driver-NAME; an agent that has it in \
                its PATH runs it for sensors with "driver": "NAME". In a checkout of sensorhub, the folder Drivers/NAME \
                is made as a driver that is to come with it, with an emulator or a test for the hardware lab.
                """)

        enum Kind: String, EnumerableFlag {
            case plain, i2c, gpio

            static func help(for kind: Kind) -> ArgumentHelp? {
                switch kind {
                case .plain: "It reads something else (the default)."
                case .i2c: "It reads a chip at an I2C bus."
                case .gpio: "It reads a GPIO line."
                }
            }
        }

        @Argument(help: "The folder to make.") var dir: String
        @Flag var kind = Kind.plain
        @Option(
            help: ArgumentHelp(
                "Where sensorhub's source is; needed unless this is a checkout of it.", valueName: "folder or URL"))
        var sensorhub: String?

        func run() async throws {
            let name = String(dir.split(separator: "/").last ?? "")
            guard Identifier(name) != nil else {
                throw ValidationError("'\(name)' cannot be the driver's name: \(Identifier.rule)")
            }
            guard !File.exists(dir) else { throw CommandError("\(dir): is there already") }
            let installation = try Installation.find()
            let template = "\(installation.examples)/driver-template"
            let project = sensorhub == nil ? NewProjectDriver(dir) : nil
            let (field, type, attributes) =
                switch kind {
                case .plain: ("uptime_seconds", "float", "")
                case .i2c: ("temperature_celsius", "float", ", \"i2c\": 1")
                case .gpio: ("active", "bool", ", \"line\": \"GPIO17\"")
                }
            let texts = [
                ("MY-NAME", project?.name ?? name), ("MY-FIELD-TYPE", type), ("MY-FIELD", field),
                ("MY-ATTRIBUTES", attributes),
            ]
            if let project {
                let count = try project.make(from: template, kind: kind.rawValue) { text in
                    texts.reduce(text) { $0.replacing($1.0, with: $1.1) }
                }
                print("\(dir): \(count) files, and its name in Package.swift and Drivers/Drivers.swift. To test it:")
                print("  swift test --filter \(project.folder)Tests")
                print("  swift build --product sensor-driver && Tests/HardwareLab/run Drivers/\(project.folder)/Lab")
                return
            }
            let source = try PackageSource(sensorhub, installation.share)
            let words =
                texts + [
                    ("MY-DEPENDENCY", source.dependency), ("MY-PACKAGE", source.identity),
                    ("MY-ORIGIN", source.place),
                ]
            func filled(_ text: String) -> String { words.reduce(text) { $0.replacing($1.0, with: $1.1) } }

            let variants = Kind.allCases.map(\.rawValue) + ["project"]
            var count = try copyTemplate(template, to: dir, skipping: variants, filled)
            for (file, folder) in [("MyDriver.swift", "Sources/MyDriver"), ("MyDriverTests.swift", "Tests")] {
                try Folder.make("\(dir)/\(folder)", mode: 0o755)
                let text = filled(try File.text(of: "\(template)/\(kind.rawValue)/\(file)"))
                try File.replace("\(dir)/\(folder)/\(file)", with: text.utf8, mode: 0o644)
                count += 1
            }
            print("\(dir): \(count) files; \(dir)/README.md says how to go on")
        }
    }
}

/// Where a driver's package gets sensorhub's modules from.
private struct PackageSource {
    /// The folder or URL.
    let place: String
    /// What the package manager calls a package from there: the last part, without `.git`.
    let identity: String
    /// For Package.swift.
    let dependency: String

    /// - Parameters:
    ///   - given: what the command line says.
    ///   - share: the folder with sensorhub's files, which is a checkout or what was installed.
    init(_ given: String?, _ share: String) throws {
        let isURL = given?.contains("://") ?? false
        place = isURL ? given! : given.map { DataDirectory($0).path } ?? share
        guard isURL || File.exists("\(place)/Package.swift") else {
            throw CommandError(
                given == nil
                    ? "say where sensorhub's source is, which the driver is built with: --sensorhub FOLDER or URL"
                    : "\(place): there is no Package.swift; is it a checkout of sensorhub?")
        }
        guard place.utf8.allSatisfy({ $0 > 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) else {
            throw CommandError("\(place): spaces, quotes and backslashes cannot stand in Package.swift")
        }
        let last = place.split(separator: "/").last.map(String.init) ?? "sensorhub"
        identity = last.hasSuffix(".git") ? String(last.dropLast(4)) : last
        dependency = isURL ? ".package(url: \"\(place)\", branch: \"main\")" : ".package(path: \"\(place)\")"
    }
}
