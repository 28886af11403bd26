import ArgumentParser
import Foundation
import Logging
import TokenService

/// The help of a setting, from the table of settings.
private func help(_ name: String) -> ArgumentHelp {
    guard let definition = SettingDefinition.table.first(where: { $0.name == name }) else {
        preconditionFailure("\(name) isn't in the table of settings")
    }
    let text = definition.defaultText.map { "\(definition.help) (default: \($0))" } ?? definition.help
    return ArgumentHelp(stringLiteral: text)
}

/// The settings that every command takes as flags.
struct SharedOptions: ParsableArguments {
    @Option(help: "A YAML file of settings.", completion: .file())
    var config: String?

    @Option(help: help("keys"), completion: .directory)
    var keys: String?

    @Option(help: help("database"))
    var database: String?

    @Option(help: help("master-secret-file"), completion: .file())
    var masterSecretFile: String?

    var flags: [String: String?] {
        ["keys": keys, "database": database, "master-secret-file": masterSecretFile]
    }

    /// Where each setting comes from.
    func values(_ more: [String: String?] = [:]) throws -> SettingValues {
        let values = try SettingValues(
            flags: flags.merging(more) { $1 }.compactMapValues(\.self),
            environment: ProcessInfo.processInfo.environment,
            file: config)
        values.warnings.forEach { Console.error("warning: \($0)") }
        return values
    }

    /// The settings, and the files that belong to them.
    func installation(_ more: [String: String?] = [:]) throws -> (
        settings: Settings, installation: Installation, logger: Logger
    ) {
        let settings = try Settings(values(more))
        let logger = Logger(label: "token-service") { label in
            settings.logFormat.handler(label: label, level: settings.logLevel)
        }
        return (settings, Installation(settings: settings, logger: logger), logger)
    }
}

/// The rest of the settings, which `serve` takes as flags.
struct ServeOptions: ParsableArguments {
    @Option(help: help("listen")) var listen: String?
    @Option(help: help("database-listen")) var databaseListen: String?
    @Option(help: help("database-connections")) var databaseConnections: String?
    @Option(help: help("database-prepared-statements")) var databasePreparedStatements: String?
    @Option(help: help("issuer")) var issuer: String?
    @Option(help: help("audience")) var audience: String?
    @Option(help: help("algorithms")) var algorithms: String?
    @Option(help: help("rsa-bits")) var rsaBits: String?
    @Option(help: help("rotate-every")) var rotateEvery: String?
    @Option(help: help("publish-ahead")) var publishAhead: String?
    @Option(help: help("jwks-max-age")) var jwksMaxAge: String?
    @Option(help: help("access-token-lifetime")) var accessTokenLifetime: String?
    @Option(help: help("refresh-token-lifetime")) var refreshTokenLifetime: String?
    @Option(help: help("refresh-token-idle-lifetime")) var refreshTokenIdleLifetime: String?
    @Option(help: help("refresh-grace")) var refreshGrace: String?
    @Option(help: help("status-ttl")) var statusTtl: String?
    @Option(help: help("log-in-rate")) var logInRate: String?
    @Option(help: help("trusted-proxies")) var trustedProxies: String?
    @Option(help: help("cors-origins")) var corsOrigins: String?
    @Option(help: help("audit-retention")) var auditRetention: String?
    @Option(help: help("clock-leeway")) var clockLeeway: String?
    @Option(help: help("password-memory")) var passwordMemory: String?
    @Option(help: help("password-iterations")) var passwordIterations: String?
    @Option(help: help("password-concurrency")) var passwordConcurrency: String?
    @Option(help: help("tls-certificate"), completion: .file()) var tlsCertificate: String?
    @Option(help: help("tls-key"), completion: .file()) var tlsKey: String?
    @Option(help: help("allow-plain-http")) var allowPlainHttp: String?
    @Option(help: help("max-connections")) var maxConnections: String?
    @Option(help: help("max-requests")) var maxRequests: String?
    @Option(help: help("shutdown-timeout")) var shutdownTimeout: String?
    @Option(help: help("metrics")) var metrics: String?
    @Option(help: help("log-level")) var logLevel: String?
    @Option(help: help("log-format")) var logFormat: String?

    var flags: [String: String?] {
        [
            "listen": listen, "database-listen": databaseListen, "database-connections": databaseConnections,
            "database-prepared-statements": databasePreparedStatements, "issuer": issuer, "audience": audience,
            "algorithms": algorithms, "rsa-bits": rsaBits,
            "rotate-every": rotateEvery, "publish-ahead": publishAhead, "jwks-max-age": jwksMaxAge,
            "access-token-lifetime": accessTokenLifetime, "refresh-token-lifetime": refreshTokenLifetime,
            "refresh-token-idle-lifetime": refreshTokenIdleLifetime, "refresh-grace": refreshGrace,
            "clock-leeway": clockLeeway, "password-memory": passwordMemory, "password-iterations": passwordIterations,
            "password-concurrency": passwordConcurrency, "allow-plain-http": allowPlainHttp, "log-level": logLevel,
            "log-format": logFormat, "status-ttl": statusTtl, "log-in-rate": logInRate,
            "trusted-proxies": trustedProxies, "cors-origins": corsOrigins, "audit-retention": auditRetention,
            "tls-certificate": tlsCertificate, "tls-key": tlsKey, "max-connections": maxConnections,
            "max-requests": maxRequests, "shutdown-timeout": shutdownTimeout, "metrics": metrics,
        ]
    }
}
