import Foundation
import Storage
import TestSupport

/// Runs a test over a new folder, which goes afterwards.
func withFolder(_ body: (String) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.path + "/storage-tests-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try await body(folder)
}

private let itemTable = "CREATE TABLE item (name TEXT PRIMARY KEY, amount BIGINT NOT NULL)"

/// Runs a test over a new SQLite file with a table `item (name TEXT PRIMARY KEY, amount BIGINT NOT NULL)`.
func withFile(_ body: (SQLiteDatabase, _ path: String) async throws -> Void) async throws {
    try await withFolder { folder in
        let path = folder + "/test.sqlite"
        let database = try SQLiteDatabase(path: path)
        defer { try? database.close() }
        try await database.run(itemTable)
        try await body(database, path)
    }
}

/// Runs a test over a new database with that table, on PostgreSQL where there is one.
func withDatabase(
    _ body: (any Database, _ open: @escaping @Sendable () throws -> any Database) async throws -> Void
) async throws {
    try await withFolder { folder in
        let address = try await DatabaseAddress(TestDatabase.address(URL(fileURLWithPath: folder)))
        var options = PostgreSQLDatabase.Options()
        options.connections = 2
        let open = { @Sendable [options] in try address.open(options: options) }
        let database = try open()
        defer { try? database.close() }
        try await database.run(itemTable)
        try await body(database, open)
    }
}

extension Database {
    /// One statement as a write of its own.
    func run(_ sql: String, _ parameters: [SQLValue] = []) async throws {
        _ = try await write { try $0.execute(sql, parameters) }
    }

    func insert(_ name: String, _ amount: Int64) async throws {
        try await run("INSERT INTO item (name, amount) VALUES ($1, $2)", [.text(name), .integer(amount)])
    }

    var names: [String] {
        get async throws {
            try await read { try $0.query("SELECT name FROM item ORDER BY name").map { try $0.text("name") } }
        }
    }
}

/// What a test's own body throws.
struct Refusal: Error, Equatable {}
