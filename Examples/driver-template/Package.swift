// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "MY-NAME",
    dependencies: [
        MY-DEPENDENCY
    ],
    targets: [
        .target(name: "MyDriver", dependencies: [.product(name: "SensorKit", package: "MY-PACKAGE")]),
        // Its name is how an agent finds it: sensorhub-driver- and the driver's name.
        .executableTarget(
            name: "sensorhub-driver-MY-NAME",
            dependencies: ["MyDriver", .product(name: "DriverProgram", package: "MY-PACKAGE")]),
        .testTarget(
            name: "MyDriverTests",
            dependencies: [
                "MyDriver", .product(name: "HardwareSupport", package: "MY-PACKAGE"),
                .product(name: "SensorKit", package: "MY-PACKAGE"),
            ],
            path: "Tests"),
    ]
)
