/// One setting: a row of the table that flags, environment, file, `config show` and the docs share.
public struct SettingDefinition: Sendable {
    public let name: String
    /// The default as it would be written; `nil` where it follows from something else.
    public let defaultText: String?
    /// What it does, for `--help`.
    public let help: String

    init(_ name: String, _ defaultText: String?, _ help: String) {
        self.name = name
        self.defaultText = defaultText
        self.help = help
    }

    /// The variable that sets it.
    public var environmentVariable: String {
        Self.environmentPrefix + name.uppercased().replacing("-", with: "_")
    }

    static let environmentPrefix = "TOKEN_SERVICE_"

    /// Every setting there is.
    public static let table: [SettingDefinition] = [
        .init("listen", "127.0.0.1:8080", "The address to listen on; port 0 picks one."),
        .init("issuer", nil, "The iss claim and the base of every published URL. (default: the listening URL)"),
        .init("audience", nil, "The aud claim of log-in tokens. (default: the issuer)"),
        .init("keys", "keys", "The key folder, or database."),
        .init("database", "sqlite:token-service.sqlite", "The database: sqlite:PATH or postgres://USER@HOST/NAME."),
        .init(
            "database-listen", nil,
            "The PostgreSQL server itself, to hear of changes, where the database is reached through a pooler. "
                + "(default: the database)"),
        .init("database-connections", "8", "How many connections to PostgreSQL there are at the most, 1 to 1000."),
        .init(
            "database-prepared-statements", "on",
            "Prepare statements on PostgreSQL; off for a pooler that doesn't know them."),
        .init("master-secret-file", "master.secret", "The file of the secret that keys and refresh tokens hang on."),
        .init("algorithms", "ES256,RS256", "A signing key is kept for each; the first signs log-in tokens."),
        .init("rsa-bits", "2048", "The size of new RSA keys, 2048 to 4096."),
        .init("rotate-every", "30d", "How long a key signs before the next takes over; 0 turns that off."),
        .init("publish-ahead", "1h", "How long a key is published before it signs."),
        .init("jwks-max-age", "5m", "How long verifiers may keep the JWKS."),
        .init("access-token-lifetime", "10m", "How long an access token is good for, 1m to 1h."),
        .init("refresh-token-lifetime", "30d", "How long a session lasts at the most."),
        .init("refresh-token-idle-lifetime", "14d", "How long a session lasts without a refresh."),
        .init("refresh-grace", "30s", "How long the last refresh token still gets the same answer, 0 to 5m."),
        .init("status-ttl", "10s", "How long verifiers may keep a status list, 1s to 1h."),
        .init("clock-leeway", "30s", "How far clocks may differ."),
        .init("password-memory", "19MiB", "What Argon2id uses for a password, 1MiB to 1GiB."),
        .init("password-iterations", "2", "How often Argon2id goes over it, 1 to 64."),
        .init("password-concurrency", nil, "How many passwords are checked at once. (default: the number of cores)"),
        .init(
            "log-in-rate", "10/m",
            "How many failed log-ins there may be for an account from one network, and from a network over all accounts."
        ),
        .init(
            "trusted-proxies", nil, "The proxies that may set X-Forwarded-For: addresses and networks. (default: none)"),
        .init("cors-origins", nil, "The web origins whose pages may use /auth and /oauth2. (default: none)"),
        .init("audit-retention", "365d", "How long the audit log is kept."),
        .init(
            "tls-certificate", nil,
            "The file of the server's certificate and of those that lead to the root, in PEM: serves HTTPS. (default: none)"
        ),
        .init("tls-key", nil, "The file of the certificate's private key, in PEM. (default: none)"),
        .init("allow-plain-http", "off", "Serve plain HTTP on a non-loopback address: on or off."),
        .init(
            "max-connections", "10000", "How many connections there are at the most, 1 to 1000000; further ones wait."),
        .init(
            "max-requests", "1000",
            "How many requests are answered at once, 1 to 1000000; further ones get 503."),
        .init("shutdown-timeout", "30s", "How long requests may take to end after SIGTERM, 1s to 1h."),
        .init("metrics", "on", "Serve /metrics: on or off."),
        .init("log-level", "info", "trace, debug, info, notice, warning, error or critical."),
        .init("log-format", nil, "text or json. (default: text on a terminal, else json)"),
    ]
}
