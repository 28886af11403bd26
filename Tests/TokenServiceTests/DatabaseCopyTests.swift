import Foundation
import HTTPTypes
import JOSE
import KeyService
import Storage
import TestSupport
import Testing

@testable import TokenService

@Suite("Copying a database")
struct DatabaseCopyTests {
    /// Opens a new, empty database: SQLite's, or the one of the tests.
    private static func target(_ service: TestService, isFile: Bool = true) async throws -> any Database {
        let folder = service.folder.appending(path: "target-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let file = "sqlite:" + folder.appending(path: "copy.sqlite").path
        let address = isFile ? file : try await TestDatabase.address(folder)
        let database = try DatabaseAddress(address).open()
        try await database.migrate(Schema.migrations)
        return database
    }

    /// A service with something in every table.
    private static func filled() async throws -> (service: TestService, pair: TestService.Pair) {
        let service = try await TestService()
        for number in 0..<250 { try await service.addUser("user \(number)".replacing(" ", with: "-")) }
        try await service.addUser(claims: ["plan": "gold"])
        let (pair, ended) = (try await service.logIn(), try await service.logIn())
        _ = try await service.post("/auth/log-out", ["refresh_token": .string(ended.refresh)])
        _ = try await service.post("/auth/log-in", ["username": "alice", "password": "wrong"])
        _ = try await service.token(of: service.addClient())
        let store = try DatabaseKeyStore(database: service.database, secret: service.secret)
        try await store.adopt(FolderKeyStore(path: service.settings.keys, secret: service.secret).texts())
        return (service, pair)
    }

    @Test("takes every table and every column of the schema")
    func tables() async throws {
        let service = try await TestService()
        let columns = try await service.database.read { connection in
            if TestDatabase.postgreSQL == nil {
                return try connection.query(
                    """
                    SELECT m.name AS "table", c.name AS "column" FROM sqlite_master AS m, pragma_table_info(m.name) AS c
                    WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'
                    """)
            }
            return try connection.query(
                """
                SELECT CAST(table_name AS TEXT) AS "table", CAST(column_name AS TEXT) AS "column"
                FROM information_schema.columns WHERE table_schema = current_schema()
                """)
        }
        let inSchema = try Set(columns.map { "\(try $0.text("table")).\(try $0.text("column"))" })
        let copied = CopiedTable.all.flatMap { table in table.columns.map { "\(table.name).\($0)" } }
        #expect(inSchema.filter { !$0.hasPrefix("schema_migrations.") } == Set(copied))
    }

    @Test("brings everything over, there and back, and nobody is logged out", arguments: [true, false])
    func roundTrip(toFile: Bool) async throws {
        let (service, pair) = try await Self.filled()
        let (there, back) = (
            try await Self.target(service, isFile: toFile), try await Self.target(service, isFile: !toFile)
        )
        defer {
            try? there.close()
            try? back.close()
        }
        let counts = try await DatabaseCopy(from: service.database, to: there).run { _, _ in }
        #expect(counts.first { $0.table == "users" }?.rows == 251)
        #expect(counts.allSatisfy { $0.rows > 0 || $0.table == "client_assertions" })
        let again = try await DatabaseCopy(from: there, to: back).run { _, _ in }
        #expect(again.map(\.rows) == counts.map(\.rows))
        let moved = try await service.over(back)
        #expect(try await moved.refresh(pair.refresh).status == .ok)
        #expect(try await moved.get("/auth/me", bearer: pair.access).status == .ok)
    }

    @Test("tells how far it is, up to the end")
    func progress() async throws {
        let (service, _) = try await Self.filled()
        let target = try await Self.target(service)
        defer { try? target.close() }
        let steps = Locked<[(Int, Int)]>([])
        _ = try await DatabaseCopy(from: service.database, to: target).run { done, total in
            steps.withLock { $0.append((done, total)) }
        }
        let seen = steps.withLock { $0 }
        #expect(seen.map(\.0) == seen.map(\.0).sorted())
        #expect(seen.last.map { $0.0 == $0.1 } == true)
    }

    @Test("is refused into a database that isn't empty, and changes nothing there")
    func occupied() async throws {
        let (service, other) = (try await TestService(), try await TestService())
        try await service.addUser("alice")
        try await other.addUser("bob")
        await #expect(throws: ServiceError.self) {
            try await DatabaseCopy(from: service.database, to: other.database).run { _, _ in }
        }
        #expect(try await other.accounts.users.users().map(\.name) == ["bob"])
    }

    @Test("copies nothing where the source breaks off")
    func broken() async throws {
        let (service, _) = try await Self.filled()
        let target = try await Self.target(service)
        defer { try? target.close() }
        _ = try await service.database.write { try $0.execute("DROP TABLE key_changes") }
        await #expect(throws: StorageError.self) {
            try await DatabaseCopy(from: service.database, to: target).run { _, _ in }
        }
        #expect(try await target.read { try $0.query("SELECT id FROM users") }.isEmpty)
    }
}
