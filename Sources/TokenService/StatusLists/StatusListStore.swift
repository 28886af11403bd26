internal import JOSE
internal import Storage

/// The status lists in the database: which places were handed out, and which bits are set.
///
/// Places are leased in blocks, so that a log-in asks nobody.
struct StatusListStore: Sendable {
    private let database: any Database
    private let witness: LeaseWitness?
    private let hasLeased = Locked(false)

    /// How many places a list has.
    static let size = 131_072
    /// How many places are leased at once; a divisor of ``size``.
    static let blockSize = 1024

    init(database: any Database, address: DatabaseAddress) {
        self.database = database
        switch address {
        case .sqlite(let path): witness = LeaseWitness(databasePath: path)
        }
    }

    /// Leases places for sessions to come.
    ///
    /// - Parameter startingList: whether they have to be of a new list: after the database went back in time, places of
    ///   the others may have been handed out already. Where that is plain to see, they are in any case.
    func lease(startingList: Bool, at now: Instant) async throws -> [StatusReference] {
        let newID = Base64URL.encode(try randomBytes(16))
        let places = try await database.write { connection in
            if try startingList || hasGoneBack(connection) {
                try connection.execute("UPDATE status_lists SET leased = size WHERE leased < size")
            }
            // The row is locked before it is decided which of its places are free.
            let row = try connection.query(
                """
                UPDATE status_lists SET leased = leased + $1, leased_at = $2
                WHERE leased < size AND id = (
                    SELECT id FROM status_lists WHERE leased < size ORDER BY created_at, id LIMIT 1)
                RETURNING id, used
                """, [.integer(Int64(Self.blockSize)), .integer(now.microseconds)]
            ).first
            let id = try row?.text("id") ?? newID
            var used = try row?.bytes("used") ?? [UInt8](repeating: 0, count: Self.size / 8)
            let indexes = Self.take(from: &used)
            if row == nil {
                try connection.execute(
                    """
                    INSERT INTO status_lists (id, size, used, leased, created_at, leased_at)
                    VALUES ($1, $2, $3, $4, $5, $5)
                    """,
                    [
                        .text(id), .integer(Int64(Self.size)), .bytes(used), .integer(Int64(Self.blockSize)),
                        .integer(now.microseconds),
                    ])
            } else {
                try connection.execute(
                    "UPDATE status_lists SET used = $1 WHERE id = $2", [.bytes(used), .text(id)])
            }
            return indexes.map { StatusReference(list: id, index: $0) }
        }
        witness?.remember(now)
        return places
    }

    /// Whether the database was restored from a copy since places were leased last. After the first lease of a process its
    /// file is its own.
    private func hasGoneBack(_ connection: any Connection) throws -> Bool {
        guard let witness, !hasLeased.withLock({ $0 }) else { return false }
        let row = try connection.query("SELECT MAX(leased_at) AS leased_at FROM status_lists").first
        let leasedAt = try row?.optionalInteger("leased_at").map(Instant.init(microseconds:))
        hasLeased.withLock { $0 = true }
        return !witness.confirms(leasedAt)
    }

    /// Takes places that are free, at random: an index tells nothing of when its session began.
    private static func take(from used: inout [UInt8]) -> [Int] {
        var free = (0..<size).filter { used[$0 / 8] >> ($0 % 8) & 1 == 0 }
        for position in 0..<min(blockSize, free.count) {
            free.swapAt(position, Int.random(in: position..<free.count))
        }
        let taken = Array(free.prefix(blockSize))
        for index in taken { used[index / 8] |= 1 << (index % 8) }
        return taken
    }

    /// The lists there are, with their sizes, and the bits that were set since an instant.
    func contents(since instant: Instant) async throws -> (lists: [String: Int], bits: [StatusBit]) {
        try await database.read { connection in
            let lists = try connection.query("SELECT id, size FROM status_lists").map {
                (try $0.text("id"), Int(try $0.integer("size")))
            }
            let bits = try connection.query(
                "SELECT list_id, list_index, tokens_until FROM status_bits WHERE set_at >= $1",
                [.integer(instant.microseconds)])
            return (Dictionary(uniqueKeysWithValues: lists), try bits.map(StatusBit.init))
        }
    }

    /// How long a block of places is used after it was leased; then the rest of it is given up.
    static let leaseLifetime = Duration.seconds(3600)

    /// Forgets bits that no token names any more, and lists that no session has a place in.
    func removeExpired(at now: Instant, clockLeeway: Duration) async throws {
        let expired = now - clockLeeway * 2
        // Well beyond any lease that a node may still use.
        let unused = now - Self.leaseLifetime * 2
        try await database.write { connection in
            try connection.execute("DELETE FROM status_bits WHERE tokens_until <= $1", [.integer(expired.microseconds)])
            try connection.execute(
                """
                DELETE FROM status_lists WHERE leased >= size AND leased_at <= $1
                    AND NOT EXISTS (SELECT 1 FROM sessions WHERE status_list = status_lists.id)
                    AND NOT EXISTS (SELECT 1 FROM status_bits WHERE list_id = status_lists.id)
                """, [.integer(unused.microseconds)])
        }
    }
}

extension StatusBit {
    init(_ row: Row) throws {
        reference = StatusReference(list: try row.text("list_id"), index: Int(try row.integer("list_index")))
        tokensUntil = Instant(microseconds: try row.integer("tokens_until"))
    }
}
