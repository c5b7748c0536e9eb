import CShims
import Glibc
import LinuxHardware
public import SensorKit

/// The program that drivers run in, one process for each sensor: `sensor-driver` for those that come with the hub. With
/// drivers of your own it is a `main.swift` with one line:
///
///     DriverProgram.run([MyDriver.self])
///
/// An agent finds it for the driver NAME as `sensorhub-driver-NAME` in its PATH (docs/drivers.md).
public enum DriverProgram {
    /// Does what the command line says (`--help` tells what there is), and returns when that is done.
    ///
    /// Ends the process with 64 where the command line is wrong, 78 where the configuration is, and 69 where `--once`
    /// could not read the sensor.
    ///
    /// - Parameter drivers: those that a configuration may name.
    public static func run(_ drivers: [any Driver.Type]) {
        do throws(Options.Misuse) {
            switch try Options(Array(CommandLine.arguments.dropFirst())).task {
            case .help: print(Options.help(name))
            case .list: printList(of: drivers)
            case .detect(let options): print(Detection(drivers: drivers, options).json)
            case .run(let config, let once):
                guard let path = config ?? DriverEnvironment.variable("SENSORHUB_CONFIG"), !path.isEmpty else {
                    fail("no configuration: give --config FILE or set SENSORHUB_CONFIG", code: EX_USAGE)
                }
                let (driver, configuration) = load(path, among: drivers, once: once)
                if once { printReading(driver) } else { run(driver, configuration) }
            }
        } catch {
            fail(error, code: EX_USAGE)
        }
    }

    /// What the program was started as, without its folder.
    private static var name: String {
        CommandLine.arguments.first?.split(separator: "/").last.map(String.init) ?? "sensor-driver"
    }

    private static func fail(_ reason: some CustomStringConvertible, code: Int32) -> Never {
        Log.standard.error("\(name): \(reason)")
        exit(code)
    }

    private static func printList(of drivers: [any Driver.Type]) {
        let width = drivers.map { $0.name.count }.max() ?? 0
        for driver in drivers {
            let padding = String(repeating: " ", count: width - driver.name.count)
            print("\(driver.name)\(padding)  \(driver.summary) (every \(driver.defaultInterval))")
        }
    }

    /// Reads once and prints each measurement on a line.
    private static func printReading(_ driver: any Driver) {
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
    private static func load(
        _ path: String, among drivers: [any Driver.Type], once: Bool
    ) -> (any Driver, DriverConfiguration) {
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

    private static func run(_ driver: any Driver, _ configuration: DriverConfiguration) {
        do throws(ValidationError) {
            let environment = try DriverEnvironment(instance: configuration.name)
            let runner = DriverRunner(driver, configuration, environment)
            sh_let_go_of_startup()
            runner.run(until: StopSignals.take())
        } catch {
            fail(error, code: EX_CONFIG)
        }
    }
}
