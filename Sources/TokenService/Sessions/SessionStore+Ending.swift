public import JOSE
internal import Storage

extension SessionStore {
    /// Ends the session of a refresh token of any generation, or all of its user's, also where its own is over already.
    ///
    /// - Returns: whether the session is known, and what came of it if any was live.
    func end(
        _ token: RefreshToken, everywhere: Bool, reason: EndReason = .loggedOut,
        audit: @escaping @Sendable (_ userID: String) -> AuditRecord,
        at now: Instant
    ) async throws -> (isKnown: Bool, Ending?) {
        let seedHash = try token.seedHash
        return try await database.write { connection in
            let row = try connection.query(
                "SELECT user_id FROM sessions WHERE id = $1 AND seed_hash = $2",
                [.text(token.sessionName), .bytes(seedHash)]
            ).first
            guard let userID = try row?.text("user_id") else { return (false, nil) }
            let which: Which = everywhere ? .ofUser(userID, except: nil) : .session(token.sessionName)
            let bits = try Self.end(which, reason: reason, at: now, in: connection)
            guard !bits.isEmpty else { return (true, nil) }
            let record = audit(userID)
            try record.insert(in: connection)
            return (true, Ending(bits: bits, record: record))
        }
    }

    /// Ends sessions. When it returns, no refresh token of theirs works any more, come what may.
    ///
    /// - Returns: `nil` where none of them was live.
    func end(_ which: Which, reason: EndReason, audit: AuditRecord, at now: Instant) async throws -> Ending? {
        try await database.write { connection in
            let bits = try Self.end(which, reason: reason, at: now, in: connection)
            guard !bits.isEmpty else { return nil }
            try audit.insert(in: connection)
            return Ending(bits: bits, record: audit)
        }
    }

    /// What came of ending sessions.
    public struct Ending: Sendable {
        let bits: [StatusBit]
        let record: AuditRecord
    }

    /// Some sessions.
    enum Which: Sendable {
        case session(String)
        case ofUser(String, except: String?)
    }

    /// Why sessions ended.
    public enum EndReason: String, Sendable {
        case loggedOut = "logged_out"
        case reused
        case passwordChanged = "password_changed"
        case userDisabled = "user_disabled"
        case userRemoved = "user_removed"
        case revoked
        /// Once more, after the database had lost that it was.
        case again
    }

    /// Ends live sessions, and sets the bits of those whose tokens may still be valid, in the caller's transaction.
    ///
    /// - Returns: their bits.
    static func end(_ which: Which, reason: EndReason, at now: Instant, in connection: any Connection) throws
        -> [StatusBit]
    {
        let condition: String
        let parameters: [SQLValue]
        switch which {
        case .session(let id): (condition, parameters) = ("id = $3", [.text(id)])
        case .ofUser(let id, let spared):
            (condition, parameters) = ("user_id = $3 AND id <> COALESCE($4, '')", [.text(id), .text(spared)])
        }
        let rows = try connection.query(
            """
            UPDATE sessions SET ended_at = $1, end_reason = $2 WHERE ended_at IS NULL AND \(condition)
            RETURNING status_list, status_index, tokens_until
            """, [.integer(now.microseconds), .text(reason.rawValue)] + parameters)
        guard !rows.isEmpty else { return [] }
        let change = try StatusListStore.nextChange(in: connection)
        return try rows.map { row in
            let bit = StatusBit(
                reference: StatusReference(
                    list: try row.text("status_list"), index: Int(try row.integer("status_index"))),
                tokensUntil: Instant(microseconds: try row.integer("tokens_until")))
            try StatusListStore.set(bit, change: change, in: connection)
            return bit
        }
    }

    /// Ends the live sessions whose bits a change has set.
    static func endAgain(bitsOf change: Int64, at now: Instant, in connection: any Connection) throws {
        let rows = try connection.query(
            """
            UPDATE sessions SET ended_at = $1, end_reason = $2
            WHERE ended_at IS NULL AND EXISTS (
                SELECT 1 FROM status_bits
                WHERE change = $3 AND list_id = sessions.status_list AND list_index = sessions.status_index)
            RETURNING id, user_id
            """, [.integer(now.microseconds), .text(EndReason.again.rawValue), .integer(change)])
        for row in rows {
            try AuditRecord(
                .sessionEnded, by: .service, subject: row.text("user_id"), session: row.text("id"), at: now
            ).insert(in: connection)
        }
    }

    /// Ends every session there is, in one transaction, and gives up the status lists' free places: after a restore some
    /// of them may have been handed out already.
    ///
    /// - Returns: how many were live.
    public func endAll(audit: AuditRecord, at now: Instant) async throws -> Int {
        let idleSince = now - lifetimes.idle
        return try await database.write { connection in
            try connection.takeTime()
            let live = try connection.query(
                "SELECT COUNT(*) AS count FROM sessions WHERE ended_at IS NULL AND expires_at > $1 AND advanced_at > $2",
                [.integer(now.microseconds), .integer(idleSince.microseconds)])
            try connection.execute(
                "UPDATE sessions SET ended_at = $1, end_reason = $2 WHERE ended_at IS NULL",
                [.integer(now.microseconds), .text(EndReason.revoked.rawValue)])
            try StatusListStore.setBitsOfSessions(endedAt: now, in: connection)
            try audit.insert(in: connection)
            return Int(try live[0].integer("count"))
        }
    }

    /// Ends the session with an id, or the sessions of a user.
    ///
    /// - Returns: how many were live.
    public func revoke(sessionID: String, audit: AuditRecord, at now: Instant) async throws -> Int {
        try await end(.session(sessionID), reason: .revoked, audit: audit, at: now)?.bits.count ?? 0
    }

    public func revoke(userID: String, audit: AuditRecord, at now: Instant) async throws -> Int {
        try await end(.ofUser(userID, except: nil), reason: .revoked, audit: audit, at: now)?.bits.count ?? 0
    }
}
