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

    /// Whether a session is, or was a while ago, a user's.
    func hasSession(_ id: String, ofUser userID: String) async throws -> Bool {
        try await database.read { connection in
            try !connection.query(
                "SELECT id FROM sessions WHERE id = $1 AND user_id = $2", [.text(id), .text(userID)]
            ).isEmpty
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
