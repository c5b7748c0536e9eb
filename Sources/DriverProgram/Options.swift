import LinuxHardware

/// The command line of a program of drivers. A few options need no library, and each library would be in the memory of every
/// driver that runs.
struct Options: Hashable {
    enum Task: Hashable {
        case help, list
        /// Tells of the machine's buses and lines.
        case detect(DetectionOptions)
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
        var detection = DetectionOptions()
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
            case "--probe": detection.asksEveryAddress = true
            case "--no-identify": detection.identifies = false
            case "--bus":
                guard let number = rest.popFirst().flatMap({ Int($0) }), number >= 0 else {
                    throw Misuse(description: "--bus needs the number of an I2C bus, as 1")
                }
                detection.bus = number
            case "--config":
                guard let value = rest.popFirst(), !value.isEmpty else {
                    throw Misuse(description: "--config needs the path of a file")
                }
                config = value
            case _ where argument.hasPrefix("--config="): config = String(argument.dropFirst("--config=".count))
            default: throw Misuse(description: "'\(argument)' is no option; see --help")
            }
        }
        guard detect || detection == DetectionOptions() else {
            throw Misuse(description: "--bus, --probe and --no-identify go with --detect only")
        }
        guard !detect || config == nil && !once else {
            throw Misuse(description: "--detect goes with --bus, --probe and --no-identify only")
        }
        task = detect ? .detect(detection) : .run(config: config, once: once)
    }

    /// - Parameter program: its name.
    static func help(_ program: String) -> String {
        """
        Usage: \(program) [--config FILE] [--once]
               \(program) --list
               \(program) --detect [--bus N] [--probe] [--no-identify]

        Runs the driver of one sensor: reads it on schedule, publishes its readings, and carries out control calls.

        Options:
          --config FILE  which driver to run, and for which sensor; without it, the file named by SENSORHUB_CONFIG
          --once         read once and print the values as JSON; no broker is needed
          --list         print the drivers that there are
          --detect       print this machine's GPIO lines, I2C buses and what answers there as JSON; 'sensorhub detect'
                         shows it to people
          --bus N        with --detect: look at this I2C bus only
          --probe        with --detect: ask every address of a bus
          --no-identify  with --detect: do not read from chips what they are
          --help         print this

        Environment:
          SENSORHUB_CONFIG    as --config
          SENSORHUB_HUB       the hub's id (main)
          SENSORHUB_BROKER    where the broker listens (mqtt://localhost:1883), or unix:///path
          SENSORHUB_USER      the broker's user (the sensor's id)
          SENSORHUB_PASSWORD  its password
          SENSORHUB_STATE     a folder for readings that the hub does not have yet; without it, they are kept in memory
        """
    }
}
