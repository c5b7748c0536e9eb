import ArgumentParser
import Embedded
import Files
import HubModel
import SimdJSON

struct DetectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "detect",
        abstract: "List this machine's GPIO lines, I2C chips and known sensors, ready to register.",
        discussion: """
            Looks at the machine that it runs on, and needs no hub; for another node, run it there. No line is taken and \
            no sensor is read. At I2C buses only such addresses are asked for an answer that a driver's chip could have, \
            without EEPROMs and the like, and no bus of a mainboard or graphics card unless --bus names it: there are \
            chips that a mere question disturbs. --probe asks every address, as i2cdetect does. Of a chip that answers \
            the register is read that says what it is, where none of our drivers' chips at that address would mind; \
            --no-identify leaves that out.
            """)

    @Option(help: ArgumentHelp("Look at this I2C bus only.", valueName: "number")) var bus: Int?
    @Flag(help: "Ask every address of the buses; some chips mind that.") var probe = false
    @Flag(name: .customLong("no-identify"), help: "Do not read from chips what they are.") var leavesIdentity = false
    @Option(
        help: ArgumentHelp(
            "The node that the entries are for; else that of the hub that runs here.", valueName: "id"))
    var node: String?
    @OptionGroup var options: HubOptions

    func validate() throws {
        if let bus, bus < 0 { throw ValidationError("--bus needs the number of an I2C bus, as 1") }
        if let node, Identifier(node) == nil { throw ValidationError("--node '\(node)' is no id: \(Identifier.rule)") }
    }

    func run() async throws {
        let installation = try Installation.find()
        var arguments = ["--detect"]
        if let bus { arguments += ["--bus", "\(bus)"] }
        if probe { arguments.append("--probe") }
        if leavesIdentity { arguments.append("--no-identify") }
        let found: JSON
        do {
            found = try JSON(parsing: try output(of: installation.driver, arguments))
        } catch let error as JSONSyntaxError {
            throw CommandError("\(installation.driver) --detect did not write JSON: \(error); is it of this version?")
        }
        let report = DetectionReport(
            found, node: node ?? nodeHere, types: DriverTypes(folder: "\(installation.share)/Drivers"))
        if options.json {
            print(report.json.text(indented: true))
        } else {
            report.lines.forEach { print(printable($0)) }
        }
    }

    /// The node of the hub that `sensorhub up` runs here; nil where there is none, or only others may read that.
    private var nodeHere: String? {
        guard let text = try? File.text(of: options.directory.agentConfiguration, limit: 1 << 20) else { return nil }
        return try? JSON(parsing: Array(text.utf8))["node"]?["id"]?.string
    }
}

/// The sensor types that come with drivers: `NAME.type.json` in a folder for each driver.
struct DriverTypes {
    private var files: [String: String] = [:]

    init(folder: String) {
        for entry in (try? Folder.names(in: folder)) ?? [] {
            let file = "\(folder)/\(entry)/\(entry).type.json"
            guard let text = try? File.text(of: file, limit: 1 << 20), let json = try? JSON(parsing: Array(text.utf8)),
                let type = json["sensor_type_list"]?.array?.first, let name = type["name"]?.string
            else { continue }
            files[name] = file
        }
    }

    /// The file to register the type of this name with.
    func file(of type: String) -> String? { files[type] }
}
