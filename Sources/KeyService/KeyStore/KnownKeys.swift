public import JOSE
public import Storage

/// What the database remembers of keys, wherever they rest: that they were there, and that they were revoked.
///
/// So it is noticed where a key folder is empty that wasn't, and where an older copy of a key's file is put back over its
/// revocation. It is written after the store, so that what it knows was there.
public struct KnownKeys: Sendable {
    /// The statements that make its table.
    public static let tables = [
        "CREATE TABLE known_keys (id TEXT PRIMARY KEY, created_at BIGINT NOT NULL, revoked_at BIGINT)"
    ]

    private let database: any Database

    /// - Parameter database: with its tables up to date.
    public init(database: any Database) { self.database = database }

    /// A key that was there once.
    public struct Key: Hashable, Sendable {
        public let createdAt: Instant
        public let revokedAt: Instant?

        init(createdAt: Instant, revokedAt: Instant?) {
            self.createdAt = createdAt
            self.revokedAt = revokedAt
        }

        init(_ record: KeyRecord) { self.init(createdAt: record.createdAt, revokedAt: record.revokedAt) }

        /// What two that tell of the same key know together.
        func merging(_ other: Key) -> Key {
            Key(createdAt: createdAt, revokedAt: [revokedAt, other.revokedAt].compactMap(\.self).min())
        }
    }

    /// All that are known.
    public func all() async throws -> [KeyID: Key] {
        try await database.read { connection in
            let rows = try connection.query("SELECT id, created_at, revoked_at FROM known_keys")
            return try Dictionary(
                rows.compactMap { row in
                    guard let keyID = KeyID(try row.text("id")) else { return nil }
                    let revokedAt = try row.optionalInteger("revoked_at").map(Instant.init(microseconds:))
                    let createdAt = Instant(microseconds: try row.integer("created_at"))
                    return (keyID, Key(createdAt: createdAt, revokedAt: revokedAt))
                }, uniquingKeysWith: { $1 })
        }
    }

    /// Remembers keys for ever. A revocation that is known stays known.
    public func remember(_ records: [KeyRecord]) async throws {
        try await database.write { connection in
            for record in records {
                try connection.execute(
                    """
                    INSERT INTO known_keys (id, created_at, revoked_at) VALUES ($1, $2, $3)
                    ON CONFLICT (id) DO UPDATE SET revoked_at = COALESCE(known_keys.revoked_at, excluded.revoked_at)
                    """,
                    [
                        .text(record.keyID.rawValue), .integer(record.createdAt.microseconds),
                        .integer(record.revokedAt?.microseconds),
                    ])
            }
        }
    }

    /// Refuses to make first keys in a place that has none, where some are known.
    ///
    /// - Parameter place: where they ought to be, in words.
    /// - Throws: ``KeyServiceError`` `keysMissing`.
    public func refuseToBegin(at place: String) async throws {
        if let error = try await KeyServiceError(missing: all(), at: place) { throw error }
    }
}

extension [KeyID: KnownKeys.Key] {
    func wasRevoked(_ record: KeyRecord) -> Bool { self[record.keyID]?.revokedAt != nil }
}

extension KeyServiceError {
    /// Keys that are known and aren't where they ought to be; `nil` where none is known.
    init?(missing known: [KeyID: KnownKeys.Key], at place: String) {
        guard let newest = known.max(by: { ($0.value.createdAt, $0.key) < ($1.value.createdAt, $1.key) }) else {
            return nil
        }
        self.init(
            .keysMissing,
            "there is no key in \(place), but the database knows \(known.count) that were in use, the newest made at "
                + "\(newest.value.createdAt) (\(newest.key)). Mount or restore what is missing, or set keys to where they "
                + "are; if they are lost for good, make new ones, whereby all tokens that are out are refused, with: "
                + "token-service keys rotate --immediately")
    }
}
