// swift-tools-version: 6.3
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "token-service-benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "token-service", path: ".."),
        // No trait: its counters of allocations replace malloc, and so change what is measured.
        .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.1", traits: []),
        .package(url: "https://github.com/vapor/jwt-kit", exact: "5.7.1"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    ],
    targets: [
        // The physical limit, and the C library that others use.
        .target(name: "CBaseline", linkerSettings: [.linkedLibrary("crypto"), .linkedLibrary("argon2")]),
        .target(name: "CJoseInC", linkerSettings: [.linkedLibrary("cjose")]),
        // What is measured, each piece of work under its name.
        .target(
            name: "TokenWork",
            dependencies: [
                "CBaseline", "CJoseInC", .product(name: "JOSE", package: "token-service"),
                .product(name: "TokenVerifier", package: "token-service"),
                .product(name: "TokenService", package: "token-service"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "JWTKit", package: "jwt-kit"), .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "ratios",
            dependencies: ["TokenWork", .product(name: "JOSE", package: "token-service")], swiftSettings: settings),
        // What scripts/load compares the service with.
        .executableTarget(
            name: "baseline",
            dependencies: [
                .product(name: "JOSE", package: "token-service"),
                .product(name: "TokenService", package: "token-service"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        // The package benchmark looks for its targets in a folder of this name.
        .executableTarget(
            name: "TokenMetrics",
            dependencies: ["TokenWork", .product(name: "Benchmark", package: "benchmark")],
            path: "Benchmarks/TokenMetrics", swiftSettings: settings,
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]),
    ]
)
