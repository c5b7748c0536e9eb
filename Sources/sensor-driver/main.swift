import Drivers
import Glibc
import LinuxHardware
import SensorKit

func fail(_ reason: some CustomStringConvertible, code: Int32) -> Never {
    Log.standard.error("sensor-driver: \(reason)")
    exit(code)
}

func printList() {
    let width = drivers.map { $0.name.count }.max() ?? 0
    for driver in drivers {
        let padding = String(repeating: " ", count: width - driver.name.count)
        print("\(driver.name)\(padding)  \(driver.summary) (every \(driver.defaultInterval))")
    }
}

/// Reads once and prints each measurement on a line.
func printReading(_ driver: any Driver) {
    var driver = driver
    do throws(SensorFault) {
        for measurement in try driver.read() { print(JSON.object(measurement.values)) }
    } catch {
        fail("the sensor cannot be read: \(error)", code: EX_UNAVAILABLE)
    }
}

/// Makes the driver that the file asks for.
///
/// - Parameter once: it is to read once: another process may run for the same sensor, and have its state.
func load(_ path: String, once: Bool) -> (any Driver, DriverConfiguration) {
    do {
        let configuration = try DriverConfiguration(file: path)
        let state = once ? nil : DriverEnvironment.variable("SENSORHUB_STATE").flatMap { $0.isEmpty ? nil : $0 }
        let context = configuration.context(hardware: LinuxHardware(), stateDirectory: state)
        return (try configuration.driver(among: drivers).init(context), configuration)
    } catch let error as FileError {
        fail(error, code: EX_CONFIG)
    } catch {
        fail("\(path): \(error)", code: EX_CONFIG)
    }
}

func run(_ driver: any Driver, _ configuration: DriverConfiguration) {
    do throws(ValidationError) {
        let environment = try DriverEnvironment(instance: configuration.name)
        DriverRunner(driver, configuration, environment).run(until: StopSignals.take())
    } catch {
        fail(error, code: EX_CONFIG)
    }
}

do throws(Options.Misuse) {
    switch try Options(Array(CommandLine.arguments.dropFirst())).task {
    case .help: print(Options.help)
    case .list: printList()
    case .detect(let asJSON):
        let detection = Detection(drivers: drivers)
        print(asJSON ? "\(detection.json)" : detection.text)
    case .run(let config, let once):
        guard let path = config ?? DriverEnvironment.variable("SENSORHUB_CONFIG"), !path.isEmpty else {
            fail("no configuration: give --config FILE or set SENSORHUB_CONFIG", code: EX_USAGE)
        }
        let (driver, configuration) = load(path, once: once)
        if once { printReading(driver) } else { run(driver, configuration) }
    }
} catch {
    fail(error, code: EX_USAGE)
}
