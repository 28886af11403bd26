internal import JOSE
internal import Storage

extension UserStore {
    /// How many users one statement adds.
    private static let batchSize = 100

    /// Adds all of these users or none, with one audit record.
    ///
    /// - Parameter didAdd: called with how many are in the transaction, again from the start where it runs again.
    /// - Throws: ``UserFileProblem`` where a name is taken.
    func add(
        _ users: [ImportedUser], by actor: AuditActor, at now: Instant, didAdd: @escaping @Sendable (Int) -> Void
    ) async throws {
        // All that can be done before is: the write lock keeps others waiting.
        let ids = try users.map { _ in Base64URL.encode(try randomBytes(16)) }
        let audit = AuditRecord(.userImport, by: actor, at: now)
        try await database.write { connection in
            try connection.takeTime()
            for start in stride(from: 0, to: users.count, by: Self.batchSize) {
                let batch = start..<min(start + Self.batchSize, users.count)
                let added = try connection.execute(
                    Self.insertion(of: batch.count), Self.parameters(users[batch], ids: ids[batch], at: now))
                guard added == batch.count else {
                    throw try Self.taken(users[batch], ids: ids[batch], in: connection)
                }
                didAdd(batch.upperBound)
            }
            try audit.insert(in: connection)
        }
    }

    private static func insertion(of count: Int) -> String {
        let rows = (0..<count).map { row in
            let columns = (1...6).map { "$\(6 * row + $0 + 1)" }.joined(separator: ", ")
            return "(\(columns), 1, $1)"
        }
        return """
            INSERT INTO users (id, name, password_hash, claims, scopes, disabled_at, credential_version, created_at)
            VALUES \(rows.joined(separator: ", ")) ON CONFLICT (name) DO NOTHING
            """
    }

    private static func parameters(
        _ users: ArraySlice<ImportedUser>, ids: ArraySlice<String>, at now: Instant
    ) -> [SQLValue] {
        var parameters = [SQLValue.integer(now.microseconds)]
        for (user, id) in zip(users, ids) {
            parameters += [
                .text(id), .text(user.name), .text(user.passwordHash), .text(user.claims), .text(user.scopes),
                user.isDisabled ? .integer(now.microseconds) : .null,
            ]
        }
        return parameters
    }

    /// The first of these users whose name somebody else has.
    private static func taken(
        _ users: ArraySlice<ImportedUser>, ids: ArraySlice<String>, in connection: any Connection
    ) throws -> UserFileProblem {
        for (user, id) in zip(users, ids) {
            let owner = try connection.query("SELECT id FROM users WHERE name = $1", [.text(user.name)]).first
            if let owner, try !owner.text("id").isSpelt(id) {
                return UserFileProblem(
                    line: user.line,
                    "there is a user \(user.name) already; take the line out, or that user away with users remove")
            }
        }
        throw StorageError(.unexpected, "the database didn't add all users")
    }

    /// Some users in the order of their names, from behind one on.
    func users(after name: String, limit: Int) async throws -> [User] {
        try await database.read { connection in
            try connection.query(
                "SELECT \(User.columns) FROM users WHERE name > $1 ORDER BY name LIMIT $2",
                [.text(name), .integer(Int64(limit))]
            ).map(User.init)
        }
    }

    /// Records that somebody is given all hashes.
    func recordExport(by actor: AuditActor, at now: Instant) async throws {
        try await database.write { try AuditRecord(.userExport, by: actor, at: now).insert(in: $0) }
    }
}
