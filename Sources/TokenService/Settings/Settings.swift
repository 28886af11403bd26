internal import Foundation
internal import JOSE
public import KeyService
public import Logging
public import Storage
internal import TokenVerifier

/// The settings, read and checked.
public struct Settings: Sendable {
    public let listen: ListenAddress
    /// `nil` for the listening URL.
    public let issuer: String?
    /// `nil` for the issuer.
    public let audience: String?
    /// The path of the key folder, or `database`.
    public let keys: String
    public let database: DatabaseAddress
    /// How PostgreSQL is used.
    let databaseOptions: PostgreSQLDatabase.Options
    /// The URL to hear of changes at; `nil` for the database's.
    let databaseListen: String?
    /// The path of the master secret file.
    public let masterSecretFile: String
    /// What decides when keys come and go, the access tokens' lifetime among it.
    public let keySchedule: KeySchedule
    public let refreshTokenLifetime: Duration
    public let refreshTokenIdleLifetime: Duration
    public let refreshGrace: Duration
    /// How long verifiers may keep a status list.
    public let statusTTL: Duration
    /// How many failed log-ins there may be.
    let logInRate: AttemptRate
    let trustedProxies: [IPAddress.Range]
    /// As browsers spell them.
    let corsOrigins: [String]
    public let auditRetention: Duration
    public let passwordCost: PasswordCost
    public let passwordConcurrency: Int
    /// The files of the certificate; `nil` for plain HTTP.
    let certificate: ServerCertificate.Paths?
    /// How many connections there are at the most, and how many requests are answered at once.
    let maximumConnections: Int
    let maximumRequests: Int
    /// How long requests may take to end when the service stops.
    let shutdownTimeout: Duration
    /// Whether there is /metrics.
    public let hasMetrics: Bool
    public let logLevel: Logger.Level
    public let logFormat: LogFormat

    /// Reads the texts.
    ///
    /// - Throws: ``ServiceError`` with status 78 that names the setting.
    public init(_ values: SettingValues) throws {
        let reader = SettingReader(values: values)
        listen = try reader.read("listen", "HOST:PORT, as 127.0.0.1:8080", ListenAddress.init)
        issuer = try reader.optional("issuer", "an http or https URL without user, query and fragment", Self.issuer)
        audience = try reader.optional("audience", "a text") { $0.isEmpty ? nil : $0 }
        keys = try reader.read("keys", "the path of a folder, or database") { $0.isEmpty ? nil : $0 }
        do {
            database = try DatabaseAddress(try reader.read("database", "a text") { $0 })
        } catch let error as StorageError {
            throw ServiceError(.configuration, "database: \(error)")
        }
        var options = PostgreSQLDatabase.Options()
        options.connections = try reader.number("database-connections", 1...1000)
        options.preparesStatements = try reader.flag("database-prepared-statements")
        databaseOptions = options
        databaseListen = try reader.optional("database-listen", "a postgres:// URL") {
            if case .postgreSQL(let url) = try? DatabaseAddress($0) { url } else { nil }
        }
        masterSecretFile = try reader.read("master-secret-file", "the path of a file") { $0.isEmpty ? nil : $0 }
        keySchedule = KeySchedule(
            algorithms: try reader.read(
                "algorithms", "of \(Algorithm.table.map(\.name).joined(separator: ",")), each once"
            ) {
                Self.algorithms($0)
            },
            rsaBits: try reader.number("rsa-bits", 2048...4096),
            rotateEvery: try reader.duration("rotate-every"),
            publishAhead: try reader.duration("publish-ahead"),
            jwksMaxAge: try reader.duration("jwks-max-age"),
            tokenLifetime: try reader.duration("access-token-lifetime", .seconds(60)...(.seconds(3600))),
            clockLeeway: try reader.duration("clock-leeway"))
        refreshTokenLifetime = try reader.duration("refresh-token-lifetime", .seconds(1)...SettingReader.longest)
        refreshTokenIdleLifetime = try reader.duration(
            "refresh-token-idle-lifetime", .seconds(1)...SettingReader.longest)
        refreshGrace = try reader.duration("refresh-grace", .zero...(.seconds(300)))
        statusTTL = try reader.duration("status-ttl", .seconds(1)...(.seconds(3600)))
        guard statusTTL <= keySchedule.tokenLifetime else {
            throw ServiceError(
                .configuration,
                "status-ttl: a status list is good for access-token-lifetime: set it to that or less")
        }
        logInRate = try reader.read("log-in-rate", "a number of attempts a time, as 10/m", AttemptRate.init)
        trustedProxies = try reader.list("trusted-proxies", "addresses or networks with commas between them") {
            IPAddress.Range($0)
        }
        corsOrigins = try reader.list("cors-origins", "origins as https://app.example with commas between them") {
            WebOrigin.of($0) == $0 ? $0 : nil
        }
        auditRetention = try reader.duration("audit-retention", .seconds(1)...SettingReader.longest)
        passwordCost = PasswordCost(
            memory: try reader.read("password-memory", "1MiB to 1GiB") {
                SettingText.memory($0).flatMap { (1024...1024 * 1024).contains($0) ? $0 : nil }
            },
            iterations: try reader.number("password-iterations", 1...64))
        guard passwordCost.memory * passwordCost.iterations <= Argon2idHash.maximumWork else {
            throw ServiceError(
                .configuration,
                "password-iterations: \(passwordCost.iterations) times password-memory is more than anybody waits for; at most "
                    + "\(Argon2idHash.maximumWork / passwordCost.memory) with this memory")
        }
        passwordConcurrency =
            try reader.optional("password-concurrency", "1 to 1024") {
                SettingText.digits($0).flatMap { (1...1024).contains($0) ? Int($0) : nil }
            } ?? ProcessInfo.processInfo.activeProcessorCount
        certificate = try reader.certificate()
        let allowPlainHTTP = try reader.flag("allow-plain-http")
        maximumConnections = try reader.number("max-connections", 1...1_000_000)
        maximumRequests = try reader.number("max-requests", 1...1_000_000)
        shutdownTimeout = try reader.duration("shutdown-timeout", .seconds(1)...(.seconds(3600)))
        hasMetrics = try reader.flag("metrics")
        logLevel = try reader.read("log-level", "trace, debug, info, notice, warning, error or critical") {
            Logger.Level(rawValue: $0)
        }
        logFormat =
            try reader.optional("log-format", "text or json", LogFormat.init)
            ?? (isatty(STDERR_FILENO) == 1 ? .text : .json)

        do {
            try keySchedule.check(against: [])
        } catch let error as KeyServiceError {
            throw ServiceError(.configuration, error.reason)
        }
        guard listen.isLoopback || certificate != nil || allowPlainHTTP else {
            throw ServiceError(
                .configuration,
                "listen: \(listen.host) can be reached from other machines, and this is plain HTTP, where tokens and passwords "
                    + "can be read on the way: set tls-certificate and tls-key, listen on 127.0.0.1, or set allow-plain-http "
                    + "to on behind a proxy with TLS")
        }
    }

    var sessionLifetimes: SessionLifetimes {
        SessionLifetimes(
            total: refreshTokenLifetime, idle: refreshTokenIdleLifetime, grace: refreshGrace,
            accessToken: keySchedule.tokenLifetime)
    }

    /// How many connections to the database there are at the most; `nil` for SQLite.
    var databaseConnections: Int? {
        if case .postgreSQL = database { databaseOptions.connections } else { nil }
    }

    /// The path of the key folder; `nil` where the keys are in the database.
    public var keyFolder: String? { Self.keyFolder(keys) }

    static func keyFolder(_ place: String) -> String? { place == "database" ? nil : place }

    /// The issuer of a server with these settings; with port 0 only the server itself knows.
    public var expectedIssuer: String { issuer ?? url(port: listen.port) }

    /// The URL of a server with these settings that listens on a port.
    func url(port: Int) -> String { listen.url(scheme: certificate == nil ? "http" : "https", port: port) }

    private static func issuer(_ text: String) -> String? {
        guard let components = URLComponents(string: text), ["http", "https"].contains(components.scheme),
            components.host?.isEmpty == false, components.query == nil, components.fragment == nil,
            components.user == nil, components.password == nil
        else { return nil }
        return text
    }

    private static func algorithms(_ text: String) -> [Algorithm]? {
        let algorithms = text.split(separator: ",", omittingEmptySubsequences: false)
            .map { try? Algorithm(named: $0.trimmingCharacters(in: .whitespaces)) }
        let known = algorithms.compactMap(\.self)
        return known.count == algorithms.count && Set(known).count == known.count ? known : nil
    }
}

/// Reads one setting after the other.
private struct SettingReader {
    let values: SettingValues

    /// Longer than any text of a duration.
    static let longest = Duration.seconds(Int64(1) << 40)

    func optional<Value>(_ name: String, _ expected: String, _ parse: (String) -> Value?) throws -> Value? {
        guard let value = values.all.first(where: { $0.name == name }), let text = value.text else { return nil }
        guard let parsed = parse(text) else {
            throw ServiceError(
                .configuration, "\(name): \"\(value.masked ?? "")\" (from \(value.origin)) isn't \(expected)")
        }
        return parsed
    }

    func read<Value>(_ name: String, _ expected: String, _ parse: (String) -> Value?) throws -> Value {
        guard let value = try optional(name, expected, parse) else {
            throw ServiceError(.configuration, "\(name) isn't set")
        }
        return value
    }

    /// The elements of a text with commas between them; none where it isn't set, or is empty or `none`.
    func list<Value>(_ name: String, _ expected: String, _ parse: (String) -> Value?) throws -> [Value] {
        try optional(name, expected) { text -> [Value]? in
            guard !text.isEmpty, text != "none" else { return [] }
            let elements = text.split(separator: ",", omittingEmptySubsequences: false)
                .map { parse($0.trimmingCharacters(in: .whitespaces)) }
            let parsed = elements.compactMap(\.self)
            return parsed.count == elements.count ? parsed : nil
        } ?? []
    }

    /// The files of the certificate, which are named together.
    func certificate() throws -> ServerCertificate.Paths? {
        func path(_ name: String) throws -> String? {
            try optional(name, "the path of a file") { $0.isEmpty ? nil : $0 }
        }
        switch (try path("tls-certificate"), try path("tls-key")) {
        case (let certificate?, let key?): return ServerCertificate.Paths(certificate: certificate, key: key)
        case (nil, nil): return nil
        case (_?, nil):
            throw ServiceError(.configuration, "tls-key: set it to the file of tls-certificate's private key")
        case (nil, _?):
            throw ServiceError(.configuration, "tls-certificate: set it to the file of tls-key's certificate")
        }
    }

    func flag(_ name: String) throws -> Bool {
        try read(name, "on or off") { ["on": true, "off": false, "true": true, "false": false][$0] }
    }

    func number(_ name: String, _ range: ClosedRange<Int>) throws -> Int {
        try read(name, "a number from \(range.lowerBound) to \(range.upperBound)") {
            SettingText.digits($0).flatMap { range.contains(Int($0)) ? Int($0) : nil }
        }
    }

    func duration(_ name: String, _ range: ClosedRange<Duration> = .zero...SettingReader.longest) throws
        -> Duration
    {
        let isWhole = range.upperBound > .seconds(86_400)
        let expected =
            "a duration as 10s, 10m, 12h or 30d"
            + (isWhole
                ? "" : " from \(range.lowerBound.components.seconds)s to \(range.upperBound.components.seconds)s")
        return try read(name, expected) { SettingText.duration($0).flatMap { range.contains($0) ? $0 : nil } }
    }
}

/// How log lines are written.
public enum LogFormat: String, Sendable {
    case text, json
}
