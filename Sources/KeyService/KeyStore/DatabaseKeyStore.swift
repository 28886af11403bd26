public import JOSE
public import Storage

/// Keys in the table `keys`, one row each, as the text that a folder has in its files; `key_changes` counts the changes.
public struct DatabaseKeyStore: KeyStore {
    /// The statements that make its tables.
    public static let tables = [
        "CREATE TABLE keys (id TEXT PRIMARY KEY, file TEXT NOT NULL)",
        // One row: how often keys were changed.
        "CREATE TABLE key_changes (id BIGINT PRIMARY KEY, number BIGINT NOT NULL)",
        "INSERT INTO key_changes (id, number) VALUES (1, 0)",
    ]

    private let database: any Database
    private let sealer: KeySealer

    /// A store in a database.
    ///
    /// - Parameters:
    ///   - database: with its ``tables`` up to date.
    ///   - secret: locks private halves and authenticates records; the same on every node.
    public init(database: any Database, secret: MasterSecret) throws {
        self.database = database
        sealer = try KeySealer(secret)
    }

    public var place: String { "the database" }

    public func contents() async throws -> KeyStoreContents {
        try await database.read { [sealer] in try Self.load($0, sealer) }
    }

    public func privateKey(of record: KeyRecord) async throws -> PrivateKey {
        let id = record.thumbprint.rawValue
        let text = try await database.read { connection in
            try connection.query("SELECT file FROM keys WHERE id = $1", [.text(id)]).first?.text("file")
        }
        guard let text else { throw KeyServiceError(.storage, "the key \(id) isn't in the database any more") }
        return try sealer.open(sealer.read(text), name: Self.name(id))
    }

    public func change<Result: Sendable>(
        _ decide: @escaping @Sendable (KeyStoreContents) throws -> (changes: [KeyChange], result: Result)
    ) async throws -> Result {
        try await database.write { [sealer] connection in
            try connection.hold(.keys)
            let (changes, result) = try decide(Self.load(connection, sealer))
            for change in changes { try Self.apply(change, connection, sealer) }
            if !changes.isEmpty { try Self.count(connection) }
            return result
        }
    }

    public func version() async throws -> KeyStoreVersion {
        try await database.read { connection in
            let row = try connection.query("SELECT number FROM key_changes WHERE id = 1")[0]
            // In another history a change may have the number of one that was lost.
            return KeyStoreVersion(parts: [String(try row.integer("number")), try connection.timeline ?? ""])
        }
    }

    public func reencrypt() async throws -> Int {
        let (count, damaged) = try await database.write { [sealer] connection in
            try connection.hold(.keys)
            var count = 0
            var damaged: [DamagedKey] = []
            for row in try connection.query("SELECT id, file FROM keys ORDER BY id") {
                let id = try row.text("id")
                let file: KeyFile
                do {
                    file = try sealer.reseal(sealer.read(row.text("file")), name: Self.name(id))
                } catch {
                    damaged.append(DamagedKey(name: Self.name(id), reason: "\(error)"))
                    continue
                }
                try Self.write(file, connection, sealer)
                count += file.record.hasPrivateKey ? 1 : 0
            }
            try Self.count(connection)
            return (count, damaged)
        }
        guard damaged.isEmpty else { throw KeyServiceError(reencrypted: count, damaged: damaged) }
        return count
    }

    public func texts() async throws -> [String] {
        try await database.read { [sealer] connection in
            if let damaged = try Self.load(connection, sealer).damaged.first {
                throw KeyServiceError(.storage, "mend it or delete its row first: \(damaged)")
            }
            return try connection.query("SELECT file FROM keys ORDER BY id").map { row in
                try sealer.text(sealer.read(row.text("file")))
            }
        }
    }

    public func adopt(_ texts: [String]) async throws {
        try await database.write { [sealer] connection in
            try connection.hold(.keys)
            guard try connection.query("SELECT id FROM keys LIMIT 1").isEmpty else {
                throw KeyServiceError(.refused, "the database has keys already; nothing was copied")
            }
            for text in texts { try Self.insert(sealer.read(text).record, text, connection) }
            try Self.count(connection)
        }
    }

    // MARK: Rows

    private static func name(_ id: String) -> String { "the key \(id) in the database" }

    private static func load(_ connection: any Connection, _ sealer: KeySealer) throws -> KeyStoreContents {
        var records: [KeyRecord] = []
        var damaged: [DamagedKey] = []
        for row in try connection.query("SELECT id, file FROM keys ORDER BY id") {
            let id = try row.text("id")
            do {
                let record = try sealer.read(row.text("file")).record
                guard record.thumbprint.rawValue == id else {
                    throw JOSEError(.malformed, "a row under another key's id")
                }
                records.append(record)
            } catch {
                damaged.append(DamagedKey(name: name(id), reason: "\(error)"))
            }
        }
        if records.isEmpty, let damaged = damaged.first {
            throw KeyServiceError(
                .masterSecret,
                "no key in the database can be read: is this the right master-secret-file? \(damaged)")
        }
        return KeyStoreContents(records: records, damaged: damaged, isNew: records.isEmpty)
    }

    private static func apply(_ change: KeyChange, _ connection: any Connection, _ sealer: KeySealer) throws {
        switch change {
        case .add(let record, let key):
            try insert(record, sealer.text(sealer.seal(record, key)), connection)
        case .update(let record):
            let rows = try connection.query(
                "SELECT file FROM keys WHERE id = $1", [.text(record.thumbprint.rawValue)])
            guard let row = rows.first else { throw KeyServiceError(.storage, "the key \(record.keyID) is gone") }
            try write(KeyFile(record: record, pem: sealer.read(row.text("file")).pem), connection, sealer)
        case .erasePrivateKey(let record): try write(sealer.seal(record, nil), connection, sealer)
        case .remove(let record):
            try connection.execute("DELETE FROM keys WHERE id = $1", [.text(record.thumbprint.rawValue)])
        }
    }

    private static func insert(_ record: KeyRecord, _ text: String, _ connection: any Connection) throws {
        try connection.execute(
            "INSERT INTO keys (id, file) VALUES ($1, $2)", [.text(record.thumbprint.rawValue), .text(text)])
    }

    private static func write(_ file: KeyFile, _ connection: any Connection, _ sealer: KeySealer) throws {
        try connection.execute(
            "UPDATE keys SET file = $1 WHERE id = $2",
            [.text(sealer.text(file)), .text(file.record.thumbprint.rawValue)])
    }

    private static func count(_ connection: any Connection) throws {
        try connection.execute("UPDATE key_changes SET number = number + 1 WHERE id = 1")
        try connection.announceChange()
    }
}
