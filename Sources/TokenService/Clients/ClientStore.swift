internal import JOSE
public import Storage

/// The clients in the database.
public struct ClientStore: Sendable {
    private let database: any Database

    public init(database: any Database) { self.database = database }

    // MARK: Finding

    func client(id: String) async throws -> Client? {
        try await database.read { connection in
            try connection.query("SELECT \(Client.columns) FROM clients WHERE id = $1", [.text(id)]).first
                .map(Client.init)
        }
    }

    /// The client with an id or a name, or an error that says there is none.
    public func find(_ text: String) async throws -> Client {
        let client = try await database.read { connection in
            try connection.query(
                "SELECT \(Client.columns) FROM clients WHERE id = $1 OR name = $1 ORDER BY id = $1 DESC LIMIT 1",
                [.text(text)]
            ).first.map(Client.init)
        }
        guard let client else {
            throw ServiceError(.failed, "there is no client \(text); clients list shows those there are")
        }
        return client
    }

    /// All clients, by name.
    public func clients() async throws -> [Client] {
        try await database.read { connection in
            try connection.query("SELECT \(Client.columns) FROM clients ORDER BY name").map(Client.init)
        }
    }

    /// Whether a client is there and has this place: a token that names another was revoked.
    func hasPlace(_ status: StatusReference, id: String) async throws -> Bool {
        try await database.read { connection in
            try !connection.query(
                "SELECT id FROM clients WHERE id = $1 AND status_list = $2 AND status_index = $3",
                [.text(id), .text(status.list), .integer(Int64(status.index))]
            ).isEmpty
        }
    }

    // MARK: Changing

    /// - Throws: ``StorageError`` `alreadyThere` where the name is taken.
    func add(_ client: Client, audit: AuditRecord) async throws {
        let credential = try client.credentials[0].stored()
        try await database.write { connection in
            try connection.execute(
                """
                INSERT INTO clients (id, name, authentication, credential, scopes, audiences, algorithm, token_lifetime,
                    permissions, created_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                """,
                [
                    .text(client.id), .text(client.name), .text(client.authentication.rawValue), .bytes(credential),
                    .text(client.scopes.joined(separator: " ")),
                    .text(JSONValue.array(client.audiences.map { .string($0) }).jsonText),
                    .text(client.algorithm?.name), .integer(client.tokenLifetime?.microseconds),
                    .text(client.permissions.map(\.rawValue).joined(separator: " ")),
                    .integer(client.createdAt.microseconds),
                ])
            try audit.insert(in: connection)
        }
    }

    /// Puts a credential in front of the one there is, which stays good until the next one comes.
    ///
    /// - Returns: `nil` where the client is gone.
    func rotate(id: String, to credential: Client.Credential, audit: AuditRecord) async throws -> Client? {
        let stored = try credential.stored()
        return try await change(
            id, audit, "previous_credential = credential, credential = $2, rotated_at = $3",
            [
                .bytes(stored), .integer(audit.time.microseconds),
            ])
    }

    /// Drops the older of two credentials.
    ///
    /// - Returns: `nil` where the client is gone, or has one only.
    func finishRotation(id: String, audit: AuditRecord) async throws -> Client? {
        try await change(id, audit, "previous_credential = NULL", [], where: "previous_credential IS NOT NULL")
    }

    private func change(
        _ id: String, _ audit: AuditRecord, _ changes: String, _ parameters: [SQLValue],
        where condition: String = "TRUE"
    ) async throws -> Client? {
        try await database.write { connection in
            let rows = try connection.query(
                "UPDATE clients SET \(changes) WHERE id = $1 AND \(condition) RETURNING \(Client.columns)",
                [.text(id)] + parameters)
            guard let row = rows.first else { return nil }
            try audit.insert(in: connection)
            return try Client(row)
        }
    }

    /// Gives a client a place in a status list, unless it has one.
    ///
    /// - Returns: the client as it is now; `nil` where it is gone, or the credential that was known is: whoever showed
    ///   that mustn't get a token under a place that came after it.
    func assign(_ status: StatusReference, to client: Client) async throws -> Client? {
        let credential = try client.credentials[0].stored()
        return try await database.write { connection in
            try connection.query(
                """
                UPDATE clients SET status_index = COALESCE(status_index, CAST($3 AS BIGINT)),
                    status_list = COALESCE(status_list, $2)
                WHERE id = $1 AND (credential = $4 OR previous_credential = $4) RETURNING \(Client.columns)
                """,
                [.text(client.id), .text(status.list), .integer(Int64(status.index)), .bytes(credential)]
            ).first.map(Client.init)
        }
    }

    // MARK: Ending tokens

    /// What came of ending a client's tokens.
    struct Ending: Sendable {
        let bits: [StatusBit]
        let record: AuditRecord
    }

    /// Ends the tokens that name a place, where that is still the client's; with the next token it gets another one.
    ///
    /// - Returns: `nil` where the place isn't the client's any more.
    func endTokens(naming status: StatusReference, id: String, audit: AuditRecord) async throws -> Ending? {
        try await database.write { connection in
            let changed = try connection.execute(
                """
                UPDATE clients SET status_list = NULL, status_index = NULL
                WHERE id = $1 AND status_list = $2 AND status_index = $3
                """, [.text(id), .text(status.list), .integer(Int64(status.index))])
            guard changed == 1 else { return nil }
            return try Self.end([status], audit, in: connection)
        }
    }

    /// Has the clients whose bits a change has set get other places with their next tokens.
    static func moveOn(bitsOf change: Int64, in connection: any Connection) throws {
        try connection.execute(
            """
            UPDATE clients SET status_list = NULL, status_index = NULL
            WHERE EXISTS (
                SELECT 1 FROM status_bits
                WHERE change = $1 AND list_id = clients.status_list AND list_index = clients.status_index)
            """, [.integer(change)])
    }

    /// Puts a credential in place of all others, and ends the tokens that are out.
    ///
    /// - Returns: `nil` where the client is gone.
    func replace(id: String, by credential: Client.Credential, audit: AuditRecord) async throws -> Client? {
        let stored = try credential.stored()
        return try await database.write { connection in
            let place = try Self.lock(id, in: connection)
            let rows = try connection.query(
                """
                UPDATE clients SET credential = $2, previous_credential = NULL, rotated_at = $3, status_list = NULL,
                    status_index = NULL
                WHERE id = $1 RETURNING \(Client.columns)
                """, [.text(id), .bytes(stored), .integer(audit.time.microseconds)])
            guard let row = rows.first else { return nil }
            _ = try Self.end(place, audit, in: connection)
            return try Client(row)
        }
    }

    /// Forgets a client, and ends its tokens.
    ///
    /// - Returns: whether it was there.
    func remove(id: String, audit: AuditRecord) async throws -> Bool {
        try await database.write { connection in
            let place = try Self.lock(id, in: connection)
            guard try connection.execute("DELETE FROM clients WHERE id = $1", [.text(id)]) == 1 else { return false }
            _ = try Self.end(place, audit, in: connection)
            return true
        }
    }

    /// The place of a client, whose row nobody else changes until the commit.
    private static func lock(_ id: String, in connection: any Connection) throws -> [StatusReference] {
        try connection.query("UPDATE clients SET name = name WHERE id = $1 RETURNING \(Client.columns)", [.text(id)])
            .compactMap { try Client($0).status }
    }

    private static func end(_ places: [StatusReference], _ audit: AuditRecord, in connection: any Connection) throws
        -> Ending
    {
        let bits = places.map { StatusBit(reference: $0, tokensUntil: audit.time + longestTokenLifetime) }
        if !bits.isEmpty {
            let change = try StatusListStore.nextChange(in: connection)
            for bit in bits { try StatusListStore.set(bit, change: change, in: connection) }
        }
        try audit.insert(in: connection)
        return Ending(bits: bits, record: audit)
    }

    /// How long a bit stays set: no setting lets a token live longer than an hour, and another node may know of the end a
    /// moment late.
    private static let longestTokenLifetime = Duration.seconds(3660)

    // MARK: Assertions

    /// Uses up the `jti` of a client's assertion (RFC 7523 section 3).
    ///
    /// - Returns: whether it is the first time.
    func use(jwtID: String, ofClient id: String, until expiresAt: Instant) async throws -> Bool {
        let name = Base64URL.encode(try SHA256.hash(Array("\(id) \(jwtID)".utf8)))
        return try await database.write { connection in
            try connection.execute(
                "INSERT INTO client_assertions (id, expires_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING",
                [.text(name), .integer(expiresAt.microseconds)]) == 1
        }
    }

    /// Forgets assertions that nobody would accept any more.
    func removeExpired(at now: Instant) async throws {
        _ = try await database.write { connection in
            try connection.execute("DELETE FROM client_assertions WHERE expires_at <= $1", [.integer(now.microseconds)])
        }
    }
}
