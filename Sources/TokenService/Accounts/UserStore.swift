internal import JOSE
public import Storage

/// The users in the database.
public struct UserStore: Sendable {
    let database: any Database

    public init(database: any Database) { self.database = database }

    /// The user with a prepared name.
    public func user(named name: String) async throws -> User? {
        try await database.read { connection in
            try connection.query("SELECT \(User.columns) FROM users WHERE name = $1", [.text(name)]).first.map(
                User.init)
        }
    }

    /// The user with a prepared name, and a hash to work on where there is none: that of the user with the first id from a
    /// pivot on, or with the first of all; `nil` where there are no users.
    func user(named name: String?, orDecoyFrom pivot: String) async throws -> (user: User?, decoy: String?) {
        try await database.read { connection in
            let user = try name.flatMap { name in
                try connection.query("SELECT \(User.columns) FROM users WHERE name = $1", [.text(name)]).first
            }.map(User.init)
            // Asked for with a user, too: that takes as long.
            let decoy = try connection.query(
                """
                SELECT COALESCE(
                    (SELECT password_hash FROM users WHERE id >= $1 ORDER BY id LIMIT 1),
                    (SELECT password_hash FROM users ORDER BY id LIMIT 1)) AS password_hash
                """, [.text(pivot)]
            ).first?.optionalText("password_hash")
            return (user, decoy)
        }
    }

    /// The user with a name, or an error that says there is none.
    public func find(_ name: String) async throws -> User {
        guard let prepared = Precis.userName(name), let user = try await user(named: prepared) else {
            throw ServiceError(.failed, "there is no user \(name); users list shows those there are")
        }
        return user
    }

    /// The user with an id.
    public func user(id: String) async throws -> User? {
        try await database.read { connection in
            try connection.query("SELECT \(User.columns) FROM users WHERE id = $1", [.text(id)]).first.map(User.init)
        }
    }

    /// All users, by name.
    public func users() async throws -> [User] {
        try await database.read { connection in
            try connection.query("SELECT \(User.columns) FROM users ORDER BY name").map(User.init)
        }
    }

    /// Adds a user under a new id.
    ///
    /// - Parameter name: as RFC 8265 prepares it.
    /// - Throws: ``StorageError`` `alreadyThere` where the name is taken.
    func add(
        name: String, passwordHash: String, claims: JSONObject, scopes: [String], by actor: AuditActor, at now: Instant
    ) async throws -> User {
        let id = Base64URL.encode(try randomBytes(16))
        return try await database.write { connection in
            let user = try User(
                connection.query(
                    """
                    INSERT INTO users (id, name, password_hash, credential_version, claims, scopes, created_at)
                    VALUES ($1, $2, $3, 1, $4, $5, $6) RETURNING \(User.columns)
                    """,
                    [
                        .text(id), .text(name), .text(passwordHash), .text(claims.jsonText),
                        .text(scopes.joined(separator: " ")), .integer(now.microseconds),
                    ])[0])
            try AuditRecord(.userAdded, by: actor, subject: id, at: now).insert(in: connection)
            return user
        }
    }

    /// Puts a new hash of the same password in place of the one it was checked against.
    func rehash(_ user: User, passwordHash: String) async throws {
        _ = try await database.write { connection in
            try connection.execute(
                "UPDATE users SET password_hash = $1 WHERE id = $2 AND password_hash = $3",
                [.text(passwordHash), .text(user.id), .text(user.passwordHash)])
        }
    }

    /// Sets another password, and ends the user's sessions in the same transaction.
    ///
    /// - Parameters:
    ///   - version: the credential version that the change was decided on, if it matters.
    ///   - sparing: a session that goes on.
    /// - Returns: `nil` where the user wasn't there, or not at that version.
    func setPassword(
        id: String, passwordHash: String, ifVersion version: Int64? = nil, sparing: String? = nil, audit: AuditRecord,
        at now: Instant
    ) async throws -> SessionStore.Ending? {
        try await database.write { connection in
            let changed = try connection.execute(
                """
                UPDATE users SET password_hash = $1, credential_version = credential_version + 1
                WHERE id = $2 AND credential_version = COALESCE($3, credential_version)
                """, [.text(passwordHash), .text(id), .integer(version)])
            guard changed == 1 else { return nil }
            let bits = try SessionStore.end(
                .ofUser(id, except: sparing), reason: .passwordChanged, at: now, in: connection)
            try audit.insert(in: connection)
            return SessionStore.Ending(bits: bits, record: audit)
        }
    }

    /// Sets some claims and removes others; they are in the tokens from the next refresh on.
    ///
    /// - Throws: ``ServiceError`` where the user is gone, was changed at the same time, or would have too many claims.
    func setClaims(
        of user: User, _ claims: JSONObject, removing names: [String], by actor: AuditActor, at now: Instant
    ) async throws -> User {
        var merged = user.claims
        for member in claims.members { merged[member.name] = member.value }
        for name in names { merged[name] = nil }
        let text = try ClaimRules.checkSize(merged).jsonText
        return try await database.write { connection in
            let rows = try connection.query(
                "UPDATE users SET claims = $1 WHERE id = $2 AND claims = $3 RETURNING \(User.columns)",
                [.text(text), .text(user.id), .text(user.claimsText)])
            guard let row = rows.first else {
                throw ServiceError(.failed, "the user \(user.name) was changed at the same time; try again")
            }
            try AuditRecord(.claimsSet, by: actor, subject: user.id, at: now).insert(in: connection)
            return try User(row)
        }
    }

    /// Stops a user from logging in, and ends their sessions in the same transaction; or lets them in again.
    func setDisabled(id: String, _ isDisabled: Bool, by actor: AuditActor, at now: Instant) async throws {
        try await database.write { connection in
            let changed = try connection.execute(
                """
                UPDATE users SET disabled_at = $1, credential_version = credential_version + 1
                WHERE id = $2 AND (disabled_at IS NULL) = (CAST($1 AS BIGINT) IS NOT NULL)
                """, [isDisabled ? .integer(now.microseconds) : .null, .text(id)])
            if isDisabled {
                _ = try SessionStore.end(.ofUser(id, except: nil), reason: .userDisabled, at: now, in: connection)
            }
            guard changed == 1 else { return }
            let event = isDisabled ? AuditRecord.Event.userDisabled : .userEnabled
            try AuditRecord(event, by: actor, subject: id, at: now).insert(in: connection)
        }
    }

    /// Forgets a user and their sessions.
    func remove(id: String, by actor: AuditActor, at now: Instant) async throws {
        try await database.write { connection in
            // A log-in that holds the row ends first, so that its session is among those that end.
            try connection.execute(
                "UPDATE users SET credential_version = credential_version + 1 WHERE id = $1", [.text(id)])
            _ = try SessionStore.end(.ofUser(id, except: nil), reason: .userRemoved, at: now, in: connection)
            try connection.execute("DELETE FROM sessions WHERE user_id = $1", [.text(id)])
            guard try connection.execute("DELETE FROM users WHERE id = $1", [.text(id)]) == 1 else { return }
            try AuditRecord(.userRemoved, by: actor, subject: id, at: now).insert(in: connection)
        }
    }
}
