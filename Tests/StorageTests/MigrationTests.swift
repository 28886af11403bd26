import Storage
import Testing

@Suite("Migrations")
struct MigrationTests {
    private static let first = Migration(
        version: 1, name: "people", statements: ["CREATE TABLE person (name TEXT)", "INSERT INTO person VALUES ('a')"])
    private static let second = Migration(
        version: 2, name: "ages",
        statements: ["ALTER TABLE person ADD COLUMN age BIGINT", "INSERT INTO person VALUES ('b', 2)"])
    private static let failing = Migration(
        version: 3, name: "broken",
        statements: ["INSERT INTO person VALUES ('c', 3)", "CREATE TABLE other (name TEXT)", "CREATE TABEL broken"])

    private static func people(_ database: any Database) async throws -> [String] {
        try await database.read { try $0.query("SELECT name FROM person ORDER BY name").map { try $0.text("name") } }
    }

    private static func versions(_ database: any Database) async throws -> [Int64] {
        try await database.read {
            try $0.query("SELECT version FROM schema_migrations ORDER BY version").map { try $0.integer("version") }
        }
    }

    @Test("are applied once, in order")
    func once() async throws {
        try await withDatabase { database, _ in
            for _ in 0..<3 { try await database.migrate([Self.first, Self.second]) }
            #expect(try await Self.people(database) == ["a", "b"])
            #expect(try await Self.versions(database) == [1, 2])
        }
    }

    @Test("go on where an older version left off")
    func step() async throws {
        try await withDatabase { database, _ in
            try await database.migrate([Self.first])
            #expect(try await Self.people(database) == ["a"])
            try await database.migrate([Self.first, Self.second])
            #expect(try await Self.people(database) == ["a", "b"])
        }
    }

    @Test("without any step leave an empty history")
    func none() async throws {
        try await withDatabase { database, _ in
            try await database.migrate([])
            #expect(try await Self.versions(database) == [])
        }
    }

    @Test("leave nothing where a statement fails, nor of the steps before it")
    func failure() async throws {
        try await withDatabase { database, _ in
            try await database.migrate([Self.first])
            await #expect(throws: StorageError.self) {
                try await database.migrate([Self.first, Self.second, Self.failing])
            }
            #expect(try await Self.people(database) == ["a"])
            #expect(try await Self.versions(database) == [1])
            let added = try await database.read {
                try $0.query("SELECT name FROM person WHERE name = 'c'").count
            }
            #expect(added == 0)
            await #expect(throws: StorageError.self) { try await database.run("SELECT name FROM other") }
            try await database.migrate([Self.first, Self.second])
            #expect(try await Self.people(database) == ["a", "b"])
        }
    }

    @Test("are refused over a database that a newer version has used, and change nothing there")
    func newerVersion() async throws {
        try await withDatabase { database, _ in
            try await database.migrate([Self.first, Self.second])
            let error = await #expect(throws: StorageError.self) { try await database.migrate([Self.first]) }
            #expect(error?.code == .newerVersion)
            #expect(error?.reason.contains("2") == true)
            #expect(try await Self.versions(database) == [1, 2])
        }
    }

    @Test("are done by one of several that start at once")
    func atOnce() async throws {
        try await withDatabase { _, open in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        let database = try open()
                        try await database.migrate([Self.first, Self.second])
                        #expect(try await Self.people(database) == ["a", "b"])
                        try database.close()
                    }
                }
                try await group.waitForAll()
            }
        }
    }
}
