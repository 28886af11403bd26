public import Foundation
import Storage

/// Which database tests have: SQLite, or PostgreSQL where scripts/with-postgresql has started one.
public enum TestDatabase {
    /// The URL of that server.
    public static let postgreSQL = ProcessInfo.processInfo.environment["TEST_POSTGRESQL"]

    /// The address of the database that belongs to a folder, which is made on first use.
    public static func address(_ folder: URL) async throws -> String {
        guard let postgreSQL else { return "sqlite:" + folder.appending(path: "db.sqlite").path }
        let schema = "test_" + folder.lastPathComponent.replacing("-", with: "_").lowercased()
        var options = PostgreSQLDatabase.Options()
        options.connections = 1
        let database = PostgreSQLDatabase(url: postgreSQL, options: options)
        defer { try? database.close() }
        _ = try await database.write { try $0.execute("CREATE SCHEMA IF NOT EXISTS \(schema)") }
        return "\(postgreSQL)?options=-csearch_path%3D\(schema)"
    }
}
