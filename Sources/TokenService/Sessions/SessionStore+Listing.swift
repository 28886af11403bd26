public import JOSE
internal import Storage

extension SessionStore {
    /// The live sessions, of one user or of all, the youngest first.
    public func sessions(ofUser userID: String? = nil, at now: Instant) async throws -> [SessionRecord] {
        let idle = lifetimes.idle
        return try await database.read { connection in
            let condition = userID == nil ? "" : " AND user_id = $3"
            return try connection.query(
                """
                SELECT sessions.id, name, sessions.created_at, advanced_at, expires_at, address, user_agent
                FROM sessions JOIN users ON users.id = user_id
                WHERE ended_at IS NULL AND expires_at > $1 AND advanced_at > $2\(condition)
                ORDER BY sessions.created_at DESC, sessions.id
                """,
                [.integer(now.microseconds), .integer((now - idle).microseconds)]
                    + (userID.map { [.text($0)] } ?? [])
            ).map { row in
                let usedAt = Instant(microseconds: try row.integer("advanced_at"))
                return SessionRecord(
                    id: try row.text("id"), userName: try row.text("name"),
                    createdAt: Instant(microseconds: try row.integer("created_at")), lastUsedAt: usedAt,
                    expiresAt: min(Instant(microseconds: try row.integer("expires_at")), usedAt + idle),
                    address: try row.optionalText("address"), userAgent: try row.optionalText("user_agent"))
            }
        }
    }

    /// How many sessions go on.
    func liveCount(at now: Instant) async throws -> Int {
        let idle = lifetimes.idle
        return try await database.read { connection in
            Int(
                try connection.query(
                    """
                    SELECT COUNT(*) AS count FROM sessions
                    WHERE ended_at IS NULL AND expires_at > $1 AND advanced_at > $2
                    """, [.integer(now.microseconds), .integer((now - idle).microseconds)])[0].integer("count"))
        }
    }

    /// Whether a session is, or was a while ago, a user's.
    func hasSession(_ id: String, ofUser userID: String) async throws -> Bool {
        try await database.read { connection in
            try !connection.query(
                "SELECT id FROM sessions WHERE id = $1 AND user_id = $2", [.text(id), .text(userID)]
            ).isEmpty
        }
    }

    /// The name of the user whose session goes on; `nil` where it was ended, or isn't theirs.
    func userName(sessionID: String, userID: String) async throws -> String? {
        try await database.read { connection in
            try connection.query(
                """
                SELECT name FROM sessions JOIN users ON users.id = user_id
                WHERE sessions.id = $1 AND user_id = $2 AND ended_at IS NULL
                """, [.text(sessionID), .text(userID)]
            ).first?.text("name")
        }
    }

    /// What a refresh token would be good for now, and for whom; `nil` where it would be refused.
    func grant(of token: RefreshToken, at now: Instant) async throws -> (SessionGrant, userName: String)? {
        let seedHash = try token.seedHash
        return try await database.read { [lifetimes] connection in
            let row = try connection.query(
                """
                SELECT \(Self.grantColumns), generation,
                    (SELECT name FROM users WHERE users.id = user_id) AS user_name
                FROM sessions
                WHERE id = $1 AND seed_hash = $2 AND ended_at IS NULL AND expires_at > $3 AND advanced_at > $4
                """,
                [
                    .text(token.sessionName), .bytes(seedHash), .integer(now.microseconds),
                    .integer((now - lifetimes.idle).microseconds),
                ]
            ).first
            guard let row else { return nil }
            let steps = try row.integer("generation") - token.generation
            let advancedAt = Instant(microseconds: try row.integer("advanced_at"))
            guard steps <= 0 || steps == 1 && now < advancedAt + lifetimes.grace else { return nil }
            return try SessionGrant(row, of: token, lifetimes).map { ($0, try row.text("user_name")) }
        }
    }

    /// Forgets sessions that are over and whose last access token has expired, some at a time.
    ///
    /// - Returns: whether there may be more.
    func removeExpired(at now: Instant, clockLeeway: Duration) async throws -> Bool {
        try await database.write { connection in
            let parameters: [SQLValue] = [
                .integer(now.microseconds), .integer((now - clockLeeway * 2).microseconds),
            ]
            // One index each.
            return try ["expires_at <= $1", "ended_at <= $1"].map { condition in
                try connection.execute(
                    """
                    DELETE FROM sessions WHERE id IN (
                        SELECT id FROM sessions WHERE \(condition) AND tokens_until <= $2 LIMIT 1000)
                    """, parameters)
            }.contains(1000)
        }
    }
}
