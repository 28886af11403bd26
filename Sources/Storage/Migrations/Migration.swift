/// One step in the history of the tables. Once released, it never changes.
public struct Migration: Sendable {
    /// 1 for the first step, then without gaps.
    public let version: Int64
    public let name: String
    public let statements: [String]

    public init(version: Int64, name: String, statements: [String]) {
        self.version = version
        self.name = name
        self.statements = statements
    }
}

extension Database {
    /// Brings the tables up to date, in one transaction: after a kill, either all or nothing was done. Of several
    /// programs that start at once, one does the work.
    ///
    /// - Returns: the version that the tables had, 0 for none.
    /// - Throws: ``StorageError`` `newerVersion` where the database is ahead of the steps that are known here.
    @discardableResult
    public func migrate(_ migrations: [Migration]) async throws -> Int64 {
        try await write { connection in
            try connection.hold(.schema)
            try connection.execute(
                "CREATE TABLE IF NOT EXISTS schema_migrations (version BIGINT PRIMARY KEY, name TEXT NOT NULL)")
            let row = try connection.query("SELECT COALESCE(MAX(version), 0) AS version FROM schema_migrations")[0]
            let current = try row.integer("version")
            let latest = migrations.map(\.version).max() ?? 0
            guard current <= latest else {
                throw StorageError(
                    .newerVersion,
                    "the database has schema \(current), and this program knows \(latest): it was used by a newer version. "
                        + "Run that version, or restore a backup from before the upgrade.")
            }
            for migration in migrations where migration.version > current {
                for statement in migration.statements { try connection.execute(statement) }
                try connection.execute(
                    "INSERT INTO schema_migrations (version, name) VALUES ($1, $2)",
                    [.integer(migration.version), .text(migration.name)])
            }
            return current
        }
    }
}
