internal import JOSE
public import Storage

/// The sessions in the database: one row each, however often it is refreshed.
public struct SessionStore: Sendable {
    let database: any Database
    let lifetimes: SessionLifetimes

    public init(database: any Database, settings: Settings) {
        self.init(database: database, lifetimes: settings.sessionLifetimes)
    }

    init(database: any Database, lifetimes: SessionLifetimes) {
        self.database = database
        self.lifetimes = lifetimes
    }

    /// Stores the session of a log-in, unless the user was disabled or got another password since it was checked.
    ///
    /// - Returns: whether it was stored.
    func insert(
        _ token: RefreshToken, _ grant: SessionGrant, of user: User, from origin: SessionOrigin, audit: AuditRecord,
        at now: Instant
    ) async throws -> Bool {
        let seedHash = try token.seedHash
        let expiresAt = now + lifetimes.total
        return try await database.write { connection in
            // Locks the user's row: who changes the password meanwhile waits, and then ends what is inserted here, too.
            let isUnchanged = try connection.execute(
                """
                UPDATE users SET credential_version = credential_version
                WHERE id = $1 AND credential_version = $2 AND disabled_at IS NULL
                """, [.text(user.id), .integer(user.credentialVersion)])
            guard isUnchanged == 1 else { return false }
            try connection.execute(
                """
                INSERT INTO sessions
                    (id, user_id, generation, seed_hash, scopes, created_at, advanced_at, expires_at, address, user_agent,
                    status_list, status_index, tokens_until)
                VALUES ($1, $9, $2, $3, $4, $5, $5, $6, $7, $8, $10, $11, $12)
                """,
                [
                    .text(grant.sessionID), .integer(token.generation), .bytes(seedHash),
                    .text(grant.scopes.joined(separator: " ")), .integer(now.microseconds),
                    .integer(expiresAt.microseconds), .text(origin.address), .text(origin.userAgent),
                    .text(grant.userID), .text(grant.status.list),
                    .integer(Int64(grant.status.index)), .integer(grant.tokensUntil.microseconds),
                ])
            try audit.insert(in: connection)
            return true
        }
    }

    /// The grant of a session that begins.
    func grant(_ token: RefreshToken, to user: User, scopes: [String], status: StatusReference, at now: Instant)
        -> SessionGrant
    {
        SessionGrant(
            sessionID: token.sessionName, userID: user.id, claims: user.claims, scopes: scopes, status: status,
            tokensUntil: lifetimes.tokensUntil(from: now), refreshableUntil: now + min(lifetimes.total, lifetimes.idle))
    }

    /// How a refresh ended.
    enum Refresh: Sendable {
        /// The session went a step ahead.
        case advanced(SessionGrant)
        /// The token had been used a moment ago: the same answer again, and nothing changes.
        case repeated(SessionGrant)
        /// The row was behind the token: the store was restored from an older copy. It has caught up.
        case caughtUp(SessionGrant, AuditRecord)
        /// A used token came back too late: the session was ended.
        case reused([StatusBit], AuditRecord)
        /// There is no such session any more. The first time for a session there is a record of it.
        case refused(AuditRecord?)

        var outcome: ServiceMetrics.RefreshOutcome {
            switch self {
            case .advanced: .advanced
            case .repeated: .repeated
            case .caughtUp: .ahead
            case .reused: .reused
            case .refused: .refused
            }
        }
    }

    /// A scope was asked for that the session doesn't have.
    struct ForeignScope: Error {}

    /// Uses up a refresh token: a compare-and-set on the row's generation, which one of several callers wins.
    ///
    /// - Parameter scopes: those that are asked for; `nil` for all.
    /// - Throws: ``ForeignScope``; then nothing was changed.
    func refresh(_ token: RefreshToken, scopes: [String]? = nil, from origin: SessionOrigin, at now: Instant)
        async throws -> Refresh
    {
        let seedHash = try token.seedHash
        let live: [SQLValue] = [
            .text(token.sessionName), .bytes(seedHash), .integer(now.microseconds),
            .integer((now - lifetimes.idle).microseconds),
        ]
        let advanced = live + [.integer(token.generation), .integer(lifetimes.tokensUntil(from: now).microseconds)]
        @Sendable func granted(_ row: Row, _ outcome: (SessionGrant) throws -> Refresh) throws -> Refresh {
            guard var grant = try SessionGrant(row, of: token, lifetimes) else { return .refused(nil) }
            if let scopes {
                guard scopes.areAmong(grant.scopes) else { throw ForeignScope() }
                grant.scopes = grant.scopes.filter { [$0].areAmong(scopes) }
            }
            return try outcome(grant)
        }
        // Nearly every refresh is this one statement. Where it's run again though it was done, the answer is repeated.
        if scopes == nil, let row = try await database.write(Self.advance(where: "generation = $5"), advanced).first {
            return try granted(row) { .advanced($0) }
        }
        return try await database.write { [lifetimes] connection in
            func audit(_ outcome: AuditRecord.Outcome, _ row: Row) throws -> AuditRecord {
                let record = AuditRecord(
                    .refresh, outcome, by: .user(nil, address: origin.address), subject: try row.text("user_id"),
                    session: token.sessionName, at: now)
                try record.insert(in: connection)
                return record
            }
            if let row = try connection.query(Self.advance(where: "generation = $5"), advanced).first {
                return try granted(row) { .advanced($0) }
            }
            if let row = try connection.query(Self.advance(where: "generation < $5"), advanced).first {
                return try granted(row) { .caughtUp($0, try audit(.ahead, row)) }
            }
            let row = try connection.query(
                """
                SELECT \(Self.grantColumns), generation FROM sessions
                WHERE id = $1 AND seed_hash = $2 AND ended_at IS NULL AND expires_at > $3 AND advanced_at > $4
                """, live
            ).first
            guard let row else {
                return .refused(try Self.recordRefusal(of: token, from: origin, at: now, in: connection))
            }
            let advancedAt = Instant(microseconds: try row.integer("advanced_at"))
            // A clock that runs behind the one that advanced the row counts as within the grace.
            if try row.integer("generation") == token.generation + 1, now < advancedAt + lifetimes.grace {
                // Only where the lifetimes were raised since it was stored.
                let raised = try connection.query(
                    "UPDATE sessions SET tokens_until = $2 WHERE id = $1 AND tokens_until < $2 RETURNING \(Self.grantColumns)",
                    [.text(token.sessionName), .integer((now + lifetimes.accessToken).microseconds)])
                return try granted(raised.first ?? row) { .repeated($0) }
            }
            let bits = try Self.end(.session(token.sessionName), reason: .reused, at: now, in: connection)
            return .reused(bits, try audit(.reused, row))
        }
    }

    /// Takes a live session a step ahead of `$5`.
    private static func advance(where generation: String) -> String {
        """
        UPDATE sessions SET generation = CAST($5 AS BIGINT) + 1, advanced_at = $3, tokens_until = $6
        WHERE id = $1 AND seed_hash = $2 AND ended_at IS NULL AND expires_at > $3 AND advanced_at > $4 AND \(generation)
        RETURNING \(grantColumns)
        """
    }

    /// Records that a refresh token of ours was refused: once a session, however often it comes.
    private static func recordRefusal(
        of token: RefreshToken, from origin: SessionOrigin, at now: Instant, in connection: any Connection
    ) throws -> AuditRecord? {
        let known = try connection.query(
            "SELECT id FROM audit WHERE session = $1 AND event = 'refresh' AND outcome = $2 LIMIT 1",
            [.text(token.sessionName), .text(AuditRecord.Outcome.refused.rawValue)])
        guard known.isEmpty else { return nil }
        let row = try connection.query("SELECT user_id FROM sessions WHERE id = $1", [.text(token.sessionName)]).first
        let record = AuditRecord(
            .refresh, .refused, by: .user(nil, address: origin.address), subject: try row?.text("user_id"),
            session: token.sessionName, at: now)
        try record.insert(in: connection)
        return record
    }

    /// What a grant is made of; neither claims nor scopes of a user who may not log in.
    static let grantColumns =
        """
        user_id, scopes, advanced_at, expires_at, status_list, status_index, tokens_until,
        (SELECT claims FROM users WHERE users.id = user_id AND disabled_at IS NULL) AS user_claims,
        (SELECT scopes FROM users WHERE users.id = user_id AND disabled_at IS NULL) AS user_scopes
        """
}

/// How long sessions live.
struct SessionLifetimes: Sendable {
    /// From the log-in.
    let total: Duration
    /// From the last refresh.
    let idle: Duration
    /// How long a used refresh token still gets the same answer.
    let grace: Duration
    /// How long an access token lives.
    let accessToken: Duration

    /// What the access tokens that come of one refresh token don't outlive; an answer may be repeated within the grace.
    func tokensUntil(from now: Instant) -> Instant { now + grace + accessToken }
}

/// Where a request came from.
struct SessionOrigin: Sendable {
    let address: String?
    let userAgent: String?

    init(address: String?, userAgent: String?) {
        self.address = address
        self.userAgent = userAgent.map { String(decoding: $0.utf8.prefix(256), as: UTF8.self) }
    }
}

extension SessionGrant {
    /// What a session's row grants its user; `nil` for one who is disabled.
    init?(_ row: Row, of token: RefreshToken, _ lifetimes: SessionLifetimes) throws {
        guard let claims = try row.optionalText("user_claims") else { return nil }
        let userScopes = try row.text("user_scopes").words
        let expiresAt = Instant(microseconds: try row.integer("expires_at"))
        let advancedAt = Instant(microseconds: try row.integer("advanced_at"))
        self.init(
            sessionID: token.sessionName, userID: try row.text("user_id"),
            claims: try ClaimRules.claims(stored: claims),
            scopes: try row.text("scopes").words.filter(userScopes.contains),
            status: StatusReference(list: try row.text("status_list"), index: Int(try row.integer("status_index"))),
            tokensUntil: Instant(microseconds: try row.integer("tokens_until")),
            refreshableUntil: min(expiresAt, advancedAt + lifetimes.idle))
    }
}
