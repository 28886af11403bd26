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
        case .postgreSQL: witness = nil
        }
    }

    /// Leases places for sessions and clients to come.
    ///
    /// - Parameter startingList: whether they have to be of a new list: after the database went back in time, places of
    ///   the others may have been handed out already. Where that is plain to see, they are in any case.
    func lease(startingList: Bool, at now: Instant) async throws -> [StatusReference] {
        do {
            let places = try await takeBlock(startingList: startingList, at: now)
            witness?.remember(now)
            return places
        } catch {
            // What was found out may not have come to be.
            hasLeased.withLock { $0 = false }
            throw error
        }
    }

    private func takeBlock(startingList: Bool, at now: Instant) async throws -> [StatusReference] {
        let newID = Base64URL.encode(try randomBytes(16))
        return try await database.write { connection in
            // Two nodes that find no list would begin one each.
            try connection.hold(.statusLists)
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
    }

    /// Whether the database has gone back in time since places were leased last: a replica that was behind took over, or a
    /// copy was restored. After the first lease of a process its file is its own.
    private func hasGoneBack(_ connection: any Connection) throws -> Bool {
        if let timeline = try connection.timeline {
            let known = try connection.query("SELECT timeline FROM status_changes WHERE id = 1")[0]
                .optionalText("timeline")
            guard known != timeline else { return false }
            try connection.execute("UPDATE status_changes SET timeline = $1 WHERE id = 1", [.text(timeline)])
            return known != nil
        }
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

    // MARK: Bits

    /// The number of a transaction that sets bits: larger than that of any that was committed before.
    static func nextChange(in connection: any Connection) throws -> Int64 {
        try connection.announceChange()
        return try connection.query("UPDATE status_changes SET number = number + 1 WHERE id = 1 RETURNING number")[0]
            .integer("number")
    }

    /// Sets a bit in the transaction that ends a session.
    static func set(_ bit: StatusBit, change: Int64, in connection: any Connection) throws {
        try connection.execute(
            "INSERT INTO status_bits (list_id, list_index, change, tokens_until) VALUES ($1, $2, $3, $4) " + onConflict,
            [
                .text(bit.reference.list), .integer(Int64(bit.reference.index)), .integer(change),
                .integer(bit.tokensUntil.microseconds),
            ])
    }

    /// Sets the bits of all sessions that were ended at an instant, where tokens may still name them, and gives up the free places of every list: this is how
    /// a restored database is cleared, in which some of them may have been handed out already.
    static func setBitsOfSessions(endedAt instant: Instant, in connection: any Connection) throws {
        try connection.execute(
            """
            INSERT INTO status_bits (list_id, list_index, change, tokens_until)
            SELECT status_list, status_index, CAST($1 AS BIGINT), MAX(tokens_until) FROM sessions
            WHERE ended_at = $2 AND tokens_until > $3 GROUP BY status_list, status_index
            """ + " " + onConflict,
            [
                .integer(try nextChange(in: connection)), .integer(instant.microseconds),
                // Well beyond any difference of clocks.
                .integer((instant - .seconds(3600)).microseconds),
            ])
        try connection.execute("UPDATE status_lists SET leased = size WHERE leased < size")
    }

    /// A bit that is set already stays set for the longer of two times.
    private static let onConflict = """
        ON CONFLICT (list_id, list_index) DO UPDATE SET
            change = excluded.change,
            tokens_until = CASE WHEN excluded.tokens_until > status_bits.tokens_until
                THEN excluded.tokens_until ELSE status_bits.tokens_until END
        """

    /// What the database holds of status lists.
    struct Contents: Sendable {
        /// The lists there are, with their sizes.
        let lists: [String: Int]
        /// The bits that were set after some change.
        let bits: [StatusBit]
        /// The last change.
        let change: Int64
        /// The history of the database's that they are of.
        let timeline: String?
        /// Whether that is another one than before: a replica took over that may have been behind.
        let isNewHistory: Bool
    }

    /// The lists there are, and the bits that were set after a change.
    ///
    /// - Parameter timeline: of the contents before. In another history changes may have the numbers of lost ones, so that
    ///   all are read.
    func contents(after change: Int64, timeline known: String?) async throws -> Contents {
        try await database.read { connection in
            let timeline = try connection.timeline
            let isNewHistory = known != nil && timeline != known
            let change = isNewHistory ? 0 : change
            let lists = try connection.query("SELECT id, size FROM status_lists").map {
                (try $0.text("id"), Int(try $0.integer("size")))
            }
            let latest = try connection.query("SELECT number FROM status_changes WHERE id = 1")[0].integer("number")
            return Contents(
                lists: Dictionary(uniqueKeysWithValues: lists),
                // A database that went back in time has other changes under the same numbers.
                bits: latest == change ? [] : try Self.bits(after: latest < change ? 0 : change, in: connection),
                change: latest, timeline: timeline, isNewHistory: isNewHistory)
        }
    }

    /// So many bits are read at once: the rows of a million would take half a gigabyte for an instant, much of which the
    /// process would keep.
    private static let pageSize = 5000

    /// The bits that were set after a change.
    private static func bits(after change: Int64, in connection: any Connection) throws -> [StatusBit] {
        // What is set within a second is few, as a rule.
        let few = try connection.query(
            "SELECT list_id, list_index, tokens_until FROM status_bits WHERE change > $1 LIMIT $2",
            [.integer(change), .integer(Int64(pageSize))])
        if few.count < pageSize { return try few.map(StatusBit.init) }
        try connection.takeTime()
        var bits: [StatusBit] = []
        while true {
            let last = bits.last?.reference
            // By the index of places; in that of changes they are in no order.
            let page = try connection.query(
                """
                SELECT list_id, list_index, tokens_until FROM status_bits
                WHERE (list_id, list_index) > ($1, $2) AND +change > $3 ORDER BY list_id, list_index LIMIT $4
                """,
                [
                    .text(last?.list ?? ""), .integer(Int64(last?.index ?? 0)), .integer(change),
                    .integer(Int64(pageSize)),
                ])
            for row in page { bits.append(try StatusBit(row, sharing: bits.last?.reference.list)) }
            if page.count < pageSize { return bits }
        }
    }

    /// Stores again what the database has lost and a node remembers: lists, with no place to lease, since sessions that it
    /// knows may name some; and bits, whose sessions and tokens are ended once more.
    func restore(_ lists: [String: Int], _ bits: [StatusBit], at now: Instant) async throws {
        guard !lists.isEmpty || !bits.isEmpty else { return }
        try await database.write { connection in
            try connection.takeTime()
            for (id, size) in lists {
                try connection.execute(
                    """
                    INSERT INTO status_lists (id, size, used, leased, created_at, leased_at)
                    VALUES ($1, $2, $3, $2, $4, $4) ON CONFLICT (id) DO NOTHING
                    """, [.text(id), .integer(Int64(size)), .bytes([]), .integer(now.microseconds)])
            }
            guard !bits.isEmpty else { return }
            let change = try Self.nextChange(in: connection)
            for bit in bits { try Self.set(bit, change: change, in: connection) }
            try SessionStore.endAgain(bitsOf: change, at: now, in: connection)
            try ClientStore.moveOn(bitsOf: change, in: connection)
        }
    }

    /// How long a block of places is used after it was leased; then the rest of it is given up.
    static let leaseLifetime = Duration.seconds(3600)

    /// Forgets bits that no token names any more, and lists that neither a session nor a client has a place in.
    func removeExpired(at now: Instant, clockLeeway: Duration) async throws {
        let expired = now - clockLeeway * 2
        // Well beyond any lease that a node may still use.
        let unused = now - Self.leaseLifetime * 2
        try await database.write { connection in
            try connection.takeTime()
            try connection.execute("DELETE FROM status_bits WHERE tokens_until <= $1", [.integer(expired.microseconds)])
            try connection.execute(
                """
                DELETE FROM status_lists WHERE leased >= size AND leased_at <= $1
                    AND NOT EXISTS (SELECT 1 FROM sessions WHERE status_list = status_lists.id)
                    AND NOT EXISTS (SELECT 1 FROM clients WHERE status_list = status_lists.id)
                    AND NOT EXISTS (SELECT 1 FROM status_bits WHERE list_id = status_lists.id)
                """, [.integer(unused.microseconds)])
        }
    }
}

extension StatusBit {
    init(_ row: Row) throws { try self.init(row, sharing: nil) }

    /// - Parameter known: a list's id; where it is this one's, the bits have one text between them.
    fileprivate init(_ row: Row, sharing known: String?) throws {
        let list = try row.text("list_id")
        reference = StatusReference(
            list: known.flatMap { $0 == list ? $0 : nil } ?? list, index: Int(try row.integer("list_index")))
        tokensUntil = Instant(microseconds: try row.integer("tokens_until"))
    }
}
