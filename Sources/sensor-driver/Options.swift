/// The command line of `sensor-driver`. Three options need no library, and each library would be in the memory of every
/// driver that runs.
struct Options: Hashable {
    enum Task: Hashable {
        case help, list
        /// Tells of the machine's buses and lines.
        case detect(asJSON: Bool)
        /// Reads until it is stopped; or once, without a broker.
        case run(config: String?, once: Bool)
    }

    struct Misuse: Error, CustomStringConvertible {
        let description: String
    }

    let task: Task

    /// - Parameter arguments: without the program's name.
    init(_ arguments: [String]) throws(Misuse) {
        var config: String?
        var once = false
        var detect = false
        var asJSON = false
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "--help", "-h":
                task = .help
                return
            case "--list":
                task = .list
                return
            case "--once": once = true
            case "--detect": detect = true
            case "--json": asJSON = true
            case "--config":
                guard let value = rest.popFirst(), !value.isEmpty else {
                    throw Misuse(description: "--config needs the path of a file")
                }
                config = value
            case _ where argument.hasPrefix("--config="): config = String(argument.dropFirst("--config=".count))
            default: throw Misuse(description: "'\(argument)' is no option; see sensor-driver --help")
            }
        }
        guard detect || !asJSON else { throw Misuse(description: "--json goes with --detect only") }
        guard !detect || config == nil && !once else { throw Misuse(description: "--detect goes with --json only") }
        task = detect ? .detect(asJSON: asJSON) : .run(config: config, once: once)
    }

    static let help = """
        Usage: sensor-driver [--config FILE] [--once]
               sensor-driver --list
               sensor-driver --detect [--json]

        Runs the driver of one sensor: reads it on schedule, publishes its readings, and carries out control calls.

        Options:
          --config FILE  which driver to run, and for which sensor; without it, the file named by SENSORHUB_CONFIG
          --once         read once and print the values as JSON; no broker is needed
          --list         print the drivers that there are
          --detect       print this machine's GPIO lines, I2C buses and what answers there; root can see all of it
          --json         print that as JSON
          --help         print this

        Environment:
          SENSORHUB_CONFIG    as --config
          SENSORHUB_HUB       the hub's id (main)
          SENSORHUB_BROKER    where the broker listens (mqtt://localhost:1883)
          SENSORHUB_USER      the broker's user (the sensor's id)
          SENSORHUB_PASSWORD  its password
          SENSORHUB_STATE     a folder for readings that the hub does not have yet; without it, they are kept in memory
        """
}
