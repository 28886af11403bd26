internal import JOSE
internal import KeyService
internal import Storage

/// How many failed log-ins there may be in a time: `10/m`.
public struct AttemptRate: Sendable, Hashable {
    let count: Int64
    let period: Duration

    /// Reads a number from 1 to a million and `s`, `m` or `h` behind a slash.
    init?(_ text: String) {
        let units: [Substring: Int64] = ["s": 1, "m": 60, "h": 3600]
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let count = SettingText.digits(parts[0]), (1...1_000_000).contains(count),
            let seconds = units[parts[1]]
        else { return nil }
        self.count = count
        period = .seconds(seconds)
    }

    /// How long one attempt takes to be forgiven.
    var interval: Duration { period / Int(count) }
}

/// Limits failed log-ins for an account from one network, and from one network over all accounts. The first are counted in
/// the database, so that a restart doesn't forgive them; the second in the memory of each node.
///
/// A count is kept as the instant at which all is forgiven (GCRA): each failure moves it an interval on, and there is room
/// while it is less than the period ahead. Attempts that are under way count as failures until they have succeeded.
final class LogInLimiter: Sendable {
    private let database: any Database
    private let rate: AttemptRate
    /// Names are kept as their keyed hashes: people type passwords where a name belongs.
    private let key: SecretBytes
    private let state = Locked(State())

    private struct State {
        /// When each network is forgiven all.
        var networks: [IPAddress: Instant] = [:]
        var accountsUnderWay: [String: Int] = [:]
        var networksUnderWay: [IPAddress: Int] = [:]
    }

    /// The most networks that are remembered.
    private static let maximumNetworks = 100_000
    /// Who has no address shares one.
    private static let noAddress = IPAddress("0.0.0.0")!

    init(database: any Database, rate: AttemptRate, secret: MasterSecret) throws {
        self.database = database
        self.rate = rate
        key = try secret.keys(for: "log-in limit v1")[0]
    }

    /// There were too many failures.
    struct Exceeded: Error {
        /// When to try again, in seconds.
        let retryAfter: Int
    }

    /// A log-in that is under way.
    struct Attempt: Sendable {
        fileprivate let account: String
        fileprivate let network: IPAddress
    }

    /// Lets a log-in try.
    ///
    /// - Parameter name: as it is compared, or as it was typed where it can't be a name.
    /// - Throws: ``Exceeded``.
    func begin(name: String, from address: IPAddress?, at now: Instant) async throws -> Attempt {
        let network = (address ?? Self.noAddress).network
        let account = Base64URL.encode(
            try HMACSHA256.authenticationCode(for: Array("\(network) \(name)".utf8), key: key))
        let attempt = Attempt(account: account, network: network)
        // The memory first: a network that is held up costs no query.
        try state.withLock { try check($0.networks[network], underWay: $0.networksUnderWay[network], at: now) }
        let recoversAt = try await database.read { connection in
            try connection.query("SELECT recovers_at FROM log_in_failures WHERE id = $1", [.text(account)])
                .first.map { Instant(microseconds: try $0.integer("recovers_at")) }
        }
        try state.withLock { state in
            try check(recoversAt, underWay: state.accountsUnderWay[account], at: now)
            try check(state.networks[network], underWay: state.networksUnderWay[network], at: now)
            state.accountsUnderWay[account, default: 0] += 1
            state.networksUnderWay[network, default: 0] += 1
        }
        return attempt
    }

    private func check(_ recoversAt: Instant?, underWay: Int?, at now: Instant) throws {
        // What a clock that ran ahead wrote, or a slower rate, holds up for no longer than the period.
        let recoversAt = min(max(recoversAt ?? now, now), now + rate.period)
        let debt = recoversAt - now + rate.interval * (1 + (underWay ?? 0)) - rate.period
        guard debt > .microseconds(rate.count) else { return }
        throw Exceeded(retryAfter: Int((debt.microseconds + 999_999) / 1_000_000))
    }

    /// Ends an attempt, however it ended.
    func end(_ attempt: Attempt) {
        state.withLock { state in
            Self.decrease(&state.accountsUnderWay[attempt.account])
            Self.decrease(&state.networksUnderWay[attempt.network])
        }
    }

    private static func decrease(_ count: inout Int?) { count = count.flatMap { $0 > 1 ? $0 - 1 : nil } }

    /// Counts a failure, and stores its audit record with it.
    func fail(_ attempt: Attempt, audit: AuditRecord, at now: Instant) async throws {
        let interval = rate.interval
        state.withLock { state in
            if state.networks.count >= Self.maximumNetworks { Self.makeRoom(&state.networks, at: now) }
            state.networks[attempt.network] = max(state.networks[attempt.network] ?? now, now) + interval
        }
        try await database.write { connection in
            try connection.execute(
                """
                INSERT INTO log_in_failures (id, recovers_at) VALUES ($1, CAST($2 AS BIGINT) + $3)
                ON CONFLICT (id) DO UPDATE SET recovers_at = $3
                    + CASE WHEN log_in_failures.recovers_at > $2 THEN log_in_failures.recovers_at ELSE $2 END
                """, [.text(attempt.account), .integer(now.microseconds), .integer(interval.microseconds)])
            try audit.insert(in: connection)
        }
    }

    /// Forgets the networks that are forgiven, and, where that isn't enough, some that soon will be.
    private static func makeRoom(_ networks: inout [IPAddress: Instant], at now: Instant) {
        networks = networks.filter { $0.value > now }
        guard networks.count >= maximumNetworks else { return }
        for (network, _) in networks.sorted(by: { $0.value < $1.value }).prefix(maximumNetworks / 10) {
            networks[network] = nil
        }
    }

    /// Forgets the failures that are forgiven.
    func removeExpired(at now: Instant) async throws {
        _ = try await database.write { connection in
            try connection.execute(
                "DELETE FROM log_in_failures WHERE recovers_at <= $1", [.integer(now.microseconds)])
        }
    }
}
