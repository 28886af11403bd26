// swift-tools-version: 6.2
import PackageDescription

var settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]
if Context.environment["WARNINGS_AS_ERRORS"] != nil {
    settings.append(.treatAllWarnings(as: .error))
}

let package = Package(
    name: "token-service",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "token-service", targets: ["TokenServiceProgram"]),
        .library(name: "TokenVerifier", targets: ["TokenVerifier"]),
        .library(name: "HummingbirdTokenVerifier", targets: ["HummingbirdTokenVerifier"]),
        .library(name: "JOSE", targets: ["JOSE"]),
        // For a program with the same commands that chooses where its traces go.
        .library(name: "TokenServiceCommand", targets: ["TokenServiceCommand"]),
        // For Benchmarks/: the issuer, and the keys that it signs with.
        .library(name: "TokenService", targets: ["TokenService", "KeyService"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(
            url: "https://github.com/apple/swift-configuration", from: "1.4.0",
            traits: [.defaults, "YAML"]),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.3"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams", "5.4.0"..<"7.0.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // Floor 0: the C libraries.
        .systemLibrary(
            name: "COpenSSL", pkgConfig: "libcrypto",
            providers: [.apt(["libssl-dev"]), .brew(["openssl@3"])]),
        .systemLibrary(
            name: "CArgon2", pkgConfig: "libargon2",
            providers: [.apt(["libargon2-dev"]), .brew(["argon2"])]),
        .systemLibrary(
            name: "CPostgreSQL", pkgConfig: "libpq", providers: [.apt(["libpq-dev"]), .brew(["libpq"])]),
        .systemLibrary(
            name: "CCrypt", pkgConfig: "libcrypt", providers: [.apt(["libcrypt-dev"]), .brew(["libxcrypt"])]),
        .systemLibrary(name: "CMalloc"),
        .systemLibrary(
            name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
        // Floor 1: keys and signatures.
        .target(name: "JOSE", dependencies: ["COpenSSL"], swiftSettings: settings),
        // Floor 2: the database.
        .target(
            name: "Storage", dependencies: ["CPostgreSQL", .product(name: "GRDB", package: "GRDB.swift")],
            swiftSettings: settings),
        // Floor 3: the key ring.
        .target(
            name: "KeyService",
            dependencies: ["JOSE", "Storage", .product(name: "Logging", package: "swift-log")],
            swiftSettings: settings),
        // Floor 4: verification, for other people's services too.
        .target(
            name: "TokenVerifier",
            dependencies: [
                "CZlib", "JOSE", .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Logging", package: "swift-log"), .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: settings),
        .target(
            name: "HummingbirdTokenVerifier",
            dependencies: [
                "JOSE", "TokenVerifier", .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"), .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: settings),
        .target(name: "TokenAttacks", dependencies: ["JOSE"], swiftSettings: settings),
        // Floor 5: the service.
        .target(
            name: "TokenService",
            dependencies: [
                "CArgon2", "CCrypt", "HummingbirdTokenVerifier", "JOSE", "KeyService", "Storage", "TokenAttacks",
                "TokenVerifier",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HummingbirdHTTP2", package: "hummingbird"),
                .product(name: "Instrumentation", package: "swift-distributed-tracing"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "Yams", package: "Yams"),
            ],
            resources: [.embedInCode("HTTP/openapi.json")], swiftSettings: settings),
        // Floor 6: the command line.
        .target(
            name: "TokenServiceCommand",
            dependencies: [
                "CMalloc", "JOSE", "KeyService", "Storage", "TokenAttacks", "TokenService", "TokenVerifier",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "TokenServiceProgram", dependencies: ["TokenServiceCommand"], swiftSettings: settings),
        .executableTarget(
            name: "ExampleMicroservice",
            dependencies: [
                "HummingbirdTokenVerifier", "TokenVerifier", .product(name: "Hummingbird", package: "hummingbird"),
            ],
            path: "Examples/hummingbird", exclude: ["README.md"], swiftSettings: settings),
        .target(
            name: "TestSupport", dependencies: ["JOSE", "Storage", .product(name: "Logging", package: "swift-log")],
            path: "Tests/TestSupport", swiftSettings: settings),
        .testTarget(name: "JOSETests", dependencies: ["JOSE"], swiftSettings: settings),
        .testTarget(name: "StorageTests", dependencies: ["Storage", "TestSupport"], swiftSettings: settings),
        .testTarget(
            name: "KeyServiceTests",
            dependencies: [
                "JOSE", "KeyService", "Storage", "TestSupport", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        .testTarget(name: "TokenAttacksTests", dependencies: ["JOSE", "TokenAttacks"], swiftSettings: settings),
        .testTarget(
            name: "TokenVerifierTests",
            dependencies: ["JOSE", "TokenAttacks", "TokenVerifier", .product(name: "Logging", package: "swift-log")],
            swiftSettings: settings),
        .testTarget(
            name: "TokenServiceTests",
            dependencies: [
                "JOSE", "KeyService", "Storage", "TestSupport", "TokenAttacks", "TokenService", "TokenServiceCommand",
                "TokenVerifier",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdTesting", package: "hummingbird"),
                .product(name: "InMemoryTracing", package: "swift-distributed-tracing"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: settings),
    ]
)

// The sanitizer scripts check the OpenSSL wrapper alone, the fuzzers what reads a stranger's bytes: without this, each
// would first build every dependency.
let fuzzes = Context.environment["FUZZING"] != nil
if fuzzes || Context.environment["JOSE_ONLY"] != nil {
    package.products.removeAll { $0.name != "JOSE" }
    package.dependencies.removeAll()
    package.targets.removeAll { !["COpenSSL", "JOSE", fuzzes ? "TokenAttacks" : "JOSETests"].contains($0.name) }
}
if fuzzes {
    package.targets += [
        .systemLibrary(name: "CLibFuzzer", path: "Fuzzing/CLibFuzzer"),
        .target(
            name: "FuzzSupport", dependencies: ["CLibFuzzer", "JOSE"], path: "Fuzzing/Support",
            swiftSettings: settings),
    ]
    package.targets += ["CompactParser", "JSONScanner", "KeyImporter", "RefreshTokenParser", "MakeSeeds"].map {
        .executableTarget(
            name: $0, dependencies: ["FuzzSupport", "JOSE", "TokenAttacks"], path: "Fuzzing/\($0)",
            swiftSettings: settings + [.unsafeFlags(["-parse-as-library"])])
    }
}
