// swift-tools-version: 6.2
import PackageDescription

/// Drivers that read hardware: one folder under Drivers/ each, with a sensor type, and in Lab an emulator and a test for
/// the hardware lab. The list that `sensor-driver` knows is in Drivers/Drivers.swift.
let hardwareDrivers = [
    "ADS1115",
    "BH1750",
    "BME280",
    "BMP085",
    "DHT22",
    "DigitalInput",
    "DigitalOutput",
    "DS18B20",
    "HCSR04",
    "Hwmon",
    "IIO",
    "INA219",
    "LM75",
    "MCP23017",
    "MPU6050",
    "PCA9685",
    "PCF8574",
    "PCF8591",
    "PulseCounter",
    "RotaryEncoder",
    "SHT31",
    "TCS34725",
    "TMP102",
    "TSL2561",
    "VL6180X",
]
let drivers = hardwareDrivers + ["Simulated", "System"]

/// What is no code in the drivers' folders.
let driverDocuments: [String] =
    drivers.map { "\($0)/README.md" } + hardwareDrivers.flatMap { ["\($0)/\($0).type.json", "\($0)/Lab"] }
let driverTests: [String] = drivers.map { "\($0)/Tests" }

let package = Package(
    name: "sensorhub",
    products: [
        .executable(name: "sensorhub", targets: ["sensorhub"]),
        .executable(name: "sensor-driver", targets: ["sensor-driver"]),
        .executable(name: "sensorhub-watch", targets: ["sensorhub-watch"]),
        .library(name: "PlatformLib", targets: ["PlatformLib"]),
        .library(name: "SensorKit", targets: ["SensorKit"]),
        .library(name: "DriverProgram", targets: ["DriverProgram"]),
        .library(name: "HardwareSupport", targets: ["HardwareSupport"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
    ],
    targets: [
        .systemLibrary(name: "CMosquitto", pkgConfig: "libmosquitto", providers: [.apt(["libmosquitto-dev"])]),
        .systemLibrary(name: "CPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CArchive", pkgConfig: "libarchive", providers: [.apt(["libarchive-dev"])]),
        .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .target(name: "CShims", linkerSettings: [.linkedLibrary("simdjson")]),
        .target(name: "CCrypto", linkerSettings: [.linkedLibrary("crypto")]),

        .target(name: "Files"),
        .target(name: "SimdJSON", dependencies: ["CShims"]),
        .target(name: "HubModel", dependencies: ["SimdJSON"]),
        .target(name: "Credentials", dependencies: ["CCrypto", "HubModel"]),
        .target(name: "Archive", dependencies: ["CArchive", "Files", "HubModel"]),
        .target(name: "MQTT", dependencies: ["CMosquitto", "HubModel"]),
        .target(name: "Postgres", dependencies: ["CPQ"]),
        .target(name: "CWatch"),
        .target(name: "Watch", dependencies: ["CWatch", "Files", "HubModel", "SimdJSON"]),
        .target(
            name: "WatchInProcess",
            dependencies: [
                "Files", "HubModel", "Watch",
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
            ]),

        .target(name: "SensorKit", dependencies: ["Files", "CShims", "HubModel", "MQTT", "SimdJSON"]),
        .target(name: "CHardware", linkerSettings: [.linkedLibrary("gpiod")]),
        .target(name: "LinuxHardware", dependencies: ["CHardware", "Files", "SensorKit", "SimdJSON"]),
        .target(name: "DriverProgram", dependencies: ["CShims", "LinuxHardware", "SensorKit"]),
        .target(name: "PlatformLib", dependencies: ["HubModel", "MQTT"]),
        .target(
            name: "Drivers", dependencies: ["SensorKit"], path: "Drivers", exclude: driverDocuments + driverTests),
        // One for all of them: a target each would take minutes to build.
        .testTarget(
            name: "DriversTests", dependencies: ["Drivers", "HardwareSupport", "SensorKit", "TestSupport"],
            path: "Drivers", exclude: driverDocuments, sources: driverTests),

        .target(
            name: "Hub",
            dependencies: [
                "Archive", "CYAML", "Credentials", "Files", "HubModel", "MQTT", "Postgres",
                .product(name: "Logging", package: "swift-log"),
            ]),
        .target(
            name: "Agent",
            dependencies: [
                "Archive", "CShims", "Credentials", "Files", "HubModel", "MQTT", "SimdJSON", "Watch", "WatchInProcess",
                .product(name: "Logging", package: "swift-log"),
            ]),
        .target(
            name: "Embedded",
            dependencies: [
                "Credentials", "Files", "Hub", "HubModel", "MQTT", "Postgres", "SimdJSON", "Watch", "WatchInProcess",
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
            ]),

        .executableTarget(
            name: "sensorhub",
            dependencies: [
                "Agent", "Archive", "CShims", "Credentials", "Embedded", "Files", "Hub", "HubModel", "MQTT", "Postgres",
                "SimdJSON",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ]),
        .executableTarget(
            name: "platform-latency", dependencies: ["PlatformLib"], path: "Benchmarks/platform-latency"),
        .executableTarget(name: "sensor-driver", dependencies: ["DriverProgram", "Drivers"]),
        // There is one for each program: without relocations nearly all of its pages are those of the file.
        .executableTarget(
            name: "sensorhub-watch", dependencies: ["CShims", "Watch"],
            linkerSettings: [.unsafeFlags(["-Xlinker", "-no-pie"], .when(configuration: .release))]),

        .testTarget(
            name: "AgentTests",
            dependencies: [
                "Agent", "Archive", "Credentials", "Files", "HubModel", "MQTT", "SimdJSON", "TestSupport", "Watch",
                "sensorhub-watch",
                .product(name: "Logging", package: "swift-log"),
            ]),
        .testTarget(name: "CredentialsTests", dependencies: ["Credentials"]),
        .testTarget(
            name: "EmbeddedTests",
            dependencies: [
                "Credentials", "Embedded", "Files", "HubModel", "MQTT", "Postgres", "SimdJSON", "TestSupport", "Watch",
                "sensorhub",
            ]),
        .testTarget(name: "ArchiveTests", dependencies: ["Archive", "CArchive"]),
        .target(name: "TestSupport", dependencies: ["Files", "MQTT"], path: "Tests/TestSupport"),
        .testTarget(name: "MQTTTests", dependencies: ["HubModel", "MQTT", "TestSupport"]),
        .testTarget(name: "FilesTests", dependencies: ["Files", "TestSupport"]),
        .target(name: "HardwareSupport", dependencies: ["MQTT", "SensorKit"], path: "Tests/HardwareSupport"),
        .testTarget(
            name: "LinuxHardwareTests",
            dependencies: ["CHardware", "HardwareSupport", "LinuxHardware", "SensorKit", "TestSupport"]),
        .testTarget(
            name: "PlatformLibTests", dependencies: ["HubModel", "MQTT", "PlatformLib", "SimdJSON", "TestSupport"]),
        .testTarget(name: "HubModelTests", dependencies: ["HubModel", "SimdJSON"]),
        .testTarget(name: "HubTests", dependencies: ["Hub", "HubModel", "SimdJSON"]),
        .testTarget(name: "SimdJSONTests", dependencies: ["SimdJSON"]),
        .testTarget(
            name: "SensorKitTests", dependencies: ["HubModel", "MQTT", "SensorKit", "TestSupport", "sensor-driver"]),
        .testTarget(
            name: "WatchTests",
            dependencies: ["Files", "HubModel", "SimdJSON", "TestSupport", "Watch", "sensorhub-watch"]),
        .testTarget(
            name: "WatchInProcessTests", dependencies: ["Files", "HubModel", "TestSupport", "Watch", "WatchInProcess"]),
    ],
    cxxLanguageStandard: .cxx17
)
