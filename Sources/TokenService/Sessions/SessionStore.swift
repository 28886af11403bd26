internal import JOSE
internal import Storage

/// The sessions in the database: one row each, however often it is refreshed.
struct SessionStore: Sendable {
    private let database: any Database
    private let lifetimes: SessionLifetimes

    init(database: any Database, lifetimes: SessionLifetimes) {
        self.database = database
        self.lifetimes = lifetimes
    }

    /// Stores the session of a log-in, unless the user was disabled or got another password since it was checked.
    ///
    /// - Returns: whether it was stored.
    func insert(_ token: RefreshToken, user: User, scopes: [String], from origin: SessionOrigin, at now: Instant)
        async throws
        -> Bool
    {
        let seedHash = try token.seedHash
        let expiresAt = now + lifetimes.total
        return try await database.write { connection in
            try connection.execute(
                """
                INSERT INTO sessions
                    (id, user_id, generation, seed_hash, scopes, created_at, advanced_at, expires_at, address, user_agent)
                SELECT $1, id, $2, $3, $4, $5, $5, $6, $7, $8 FROM users
                WHERE id = $9 AND credential_version = $10 AND disabled_at IS NULL
                """,
                [
                    .text(token.sessionName), .integer(token.generation), .bytes(seedHash),
                    .text(scopes.joined(separator: " ")), .integer(now.microseconds), .integer(expiresAt.microseconds),
                    .text(origin.address), .text(origin.userAgent), .text(user.id), .integer(user.credentialVersion),
                ]) == 1
        }
    }

    /// How a refresh ended.
    enum Refresh: Sendable {
        /// The session went a step ahead.
        case advanced(User, scopes: [String])
        /// The token had been used a moment ago: the same answer again, and nothing changes.
        case repeated(User, scopes: [String])
        /// The row was behind the token: the store was restored from an older copy. It has caught up.
        case caughtUp(User, scopes: [String])
        /// A used token came back too late: the session was ended.
        case reused
        /// There is no such session any more.
        case refused
    }

    /// Uses up a refresh token: a compare-and-set on the row's generation, which one of several callers wins.
    func refresh(_ token: RefreshToken, at now: Instant) async throws -> Refresh {
        let seedHash = try token.seedHash
        let idleSince = now - lifetimes.idle
        return try await database.write { [lifetimes] connection in
            let live: [SQLValue] = [
                .text(token.sessionName), .bytes(seedHash), .integer(now.microseconds),
                .integer(idleSince.microseconds),
                .integer(token.generation),
            ]
            func advance(where generation: String) throws -> Row? {
                try connection.query(
                    """
                    UPDATE sessions SET generation = CAST($5 AS BIGINT) + 1, advanced_at = $3
                    WHERE id = $1 AND seed_hash = $2 AND ended_at IS NULL AND expires_at > $3 AND advanced_at > $4
                        AND \(generation)
                    RETURNING user_id, scopes
                    """, live
                ).first
            }
            func user(_ row: Row, _ outcome: (User, [String]) -> Refresh) throws -> Refresh {
                let rows = try connection.query(
                    "SELECT \(User.columns) FROM users WHERE id = $1 AND disabled_at IS NULL",
                    [.text(row.text("user_id"))])
                guard let user = try rows.first.map(User.init) else { return .refused }
                let granted = try row.text("scopes").split(separator: " ").map(String.init)
                return outcome(user, granted.filter(user.scopes.contains))
            }
            if let row = try advance(where: "generation = $5") { return try user(row) { .advanced($0, scopes: $1) } }
            if let row = try advance(where: "generation < $5") { return try user(row) { .caughtUp($0, scopes: $1) } }
            let row = try connection.query(
                """
                SELECT user_id, scopes, generation, advanced_at FROM sessions
                WHERE id = $1 AND seed_hash = $2 AND ended_at IS NULL AND expires_at > $3 AND advanced_at > $4
                """, Array(live.dropLast())
            ).first
            guard let row else { return .refused }
            let advancedAt = Instant(microseconds: try row.integer("advanced_at"))
            // A clock that runs behind the one that advanced the row counts as within the grace.
            if try row.integer("generation") == token.generation + 1,
                now < advancedAt + lifetimes.grace
            {
                return try user(row) { .repeated($0, scopes: $1) }
            }
            try Self.end(.session(token.sessionName), reason: .reused, at: now, in: connection)
            return .reused
        }
    }

    /// Ends the session of a refresh token of any generation, or all of its user's.
    func end(_ token: RefreshToken, everywhere: Bool, at now: Instant) async throws {
        let seedHash = try token.seedHash
        try await database.write { connection in
            let row = try connection.query(
                "SELECT user_id FROM sessions WHERE id = $1 AND seed_hash = $2 AND ended_at IS NULL AND expires_at > $3",
                [.text(token.sessionName), .bytes(seedHash), .integer(now.microseconds)]
            ).first
            guard let row else { return }
            let which: Which = everywhere ? .ofUser(try row.text("user_id"), except: nil) : .session(token.sessionName)
            try Self.end(which, reason: .loggedOut, at: now, in: connection)
        }
    }

    /// Ends sessions. When it returns, no refresh token of theirs works any more, come what may.
    func end(_ which: Which, reason: EndReason, at now: Instant) async throws {
        try await database.write { connection in try Self.end(which, reason: reason, at: now, in: connection) }
    }

    /// Some sessions.
    enum Which: Sendable {
        case session(String)
        case ofUser(String, except: String?)
    }

    /// Why sessions ended.
    enum EndReason: String, Sendable {
        case loggedOut = "logged_out"
        case reused
        case passwordChanged = "password_changed"
        case userDisabled = "user_disabled"
    }

    static func end(_ which: Which, reason: EndReason, at now: Instant, in connection: any Connection) throws {
        let parameters: [SQLValue] = [.integer(now.microseconds), .text(reason.rawValue)]
        let update = "UPDATE sessions SET ended_at = $1, end_reason = $2 WHERE ended_at IS NULL AND "
        switch which {
        case .session(let id): try connection.execute(update + "id = $3", parameters + [.text(id)])
        case .ofUser(let id, let spared):
            try connection.execute(
                update + "user_id = $3 AND id <> COALESCE($4, '')", parameters + [.text(id), .text(spared)])
        }
    }

    /// Forgets sessions whose lifetime is over, some at a time.
    ///
    /// - Returns: how many were forgotten.
    func removeExpired(at now: Instant) async throws -> Int {
        try await database.write { connection in
            try connection.execute(
                "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at <= $1 LIMIT 1000)",
                [.integer(now.microseconds)])
        }
    }
}

/// How long sessions live.
struct SessionLifetimes: Sendable {
    /// From the log-in.
    let total: Duration
    /// From the last refresh.
    let idle: Duration
    /// How long a used refresh token still gets the same answer.
    let grace: Duration

    init(total: Duration, idle: Duration, grace: Duration) {
        self.total = total
        self.idle = idle
        self.grace = grace
    }
}

/// Where a log-in came from.
struct SessionOrigin: Sendable {
    let address: String?
    let userAgent: String?

    init(address: String?, userAgent: String?) {
        self.address = address
        self.userAgent = userAgent.map { String(decoding: $0.utf8.prefix(256), as: UTF8.self) }
    }
}
