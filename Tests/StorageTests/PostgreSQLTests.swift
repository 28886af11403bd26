import Foundation
import Storage
import TestSupport
import Testing

@Suite("A transaction over PostgreSQL", .enabled(if: TestDatabase.postgreSQL != nil))
struct PostgreSQLTests {
    /// How a statement gets to the server.
    enum Way: CaseIterable, Sendable {
        case read, write, oneStatement

        func query(_ database: any Database, _ sql: String) async throws -> Row {
            switch self {
            case .read: try await database.read { try $0.query(sql)[0] }
            case .write: try await database.write { try $0.query(sql)[0] }
            case .oneStatement: try await database.write(sql, [])[0]
            }
        }
    }

    private static let nameOfProcess = "SELECT pg_backend_pid() AS pid"

    /// Runs a test over a database with one connection, and another one beside it; the table `item` has the row `a`.
    private func withConnection(
        _ options: PostgreSQLDatabase.Options = .init(), settings: String = "",
        _ body: (_ database: PostgreSQLDatabase, _ other: any Database) async throws -> Void
    ) async throws {
        try await withFolder { folder in
            let url = try await TestDatabase.address(URL(fileURLWithPath: folder)) + settings
            var options = options
            options.connections = 1
            let (database, other) = (PostgreSQLDatabase(url: url, options: options), PostgreSQLDatabase(url: url))
            defer { for each in [database, other] { try? each.close() } }
            try await other.run("CREATE TABLE item (name TEXT PRIMARY KEY, amount BIGINT NOT NULL)")
            try await other.insert("a", 0)
            try await body(database, other)
        }
    }

    @Test("is of its kind from its first statement on", arguments: Way.allCases)
    func kinds(_ way: Way) async throws {
        try await withConnection { database, _ in
            let row = try await way.query(
                database,
                """
                SELECT current_setting('transaction_isolation') AS isolation,
                    current_setting('transaction_read_only') AS read_only
                """)
            #expect(try row.text("isolation") == (way == .read ? "repeatable read" : "read committed"))
            #expect(try row.text("read_only") == (way == .read ? "on" : "off"))
        }
    }

    @Test("ends a statement that takes too long, and serves the next one", arguments: Way.allCases)
    func timeout(_ way: Way) async throws {
        var options = PostgreSQLDatabase.Options()
        options.statementTimeout = .seconds(1)
        try await withConnection(options) { database, _ in
            let pid = try await way.query(database, Self.nameOfProcess)
            let error = await #expect(throws: StorageError.self) {
                try await way.query(database, "SELECT CAST(pg_sleep(3) AS TEXT)")
            }
            #expect(error?.code == .unavailable)
            #expect(try await way.query(database, Self.nameOfProcess).integer("pid") == pid.integer("pid"))
        }
    }

    @Test("may take its time where it says so, before its first statement or later", arguments: [true, false])
    func time(_ isFirst: Bool) async throws {
        try await withConnection { database, _ in
            let timeout = try await database.write { connection in
                if !isFirst { try connection.execute("UPDATE item SET amount = 1") }
                try connection.takeTime()
                return try connection.query("SELECT current_setting('statement_timeout') AS timeout")[0].text("timeout")
            }
            #expect(timeout == "0")
        }
    }

    @Test(
        "is durable when it is acknowledged, though the role's default is otherwise",
        arguments: [Way.write, .oneStatement])
    func durability(_ way: Way) async throws {
        for (value, expected) in [("off", "on"), ("local", "local"), ("on", "on")] {
            try await withConnection(settings: "%20-csynchronous_commit%3D\(value)") { database, _ in
                let row = try await way.query(database, "SELECT current_setting('synchronous_commit') AS value")
                #expect(try row.text("value") == expected)
            }
        }
    }

    @Test("is run again where the server ends its connection", arguments: Way.allCases)
    func endedConnection(_ way: Way) async throws {
        try await withConnection { database, other in
            for _ in 0..<3 {
                let pid = try await way.query(database, Self.nameOfProcess).integer("pid")
                try await other.run("SELECT pg_terminate_backend(CAST($1 AS INT))", [.integer(pid)])
                #expect(try await way.query(database, Self.nameOfProcess).integer("pid") != pid)
            }
        }
    }

    @Test("is run again where that happens while it waits for another", arguments: [Way.write, .oneStatement])
    func endedWait(_ way: Way) async throws {
        try await withConnection { database, other in
            let pid = try await way.query(database, Self.nameOfProcess).integer("pid")
            let (held, holding) = AsyncStream.makeStream(of: Void.self)
            async let result = other.write { connection in
                try connection.execute("UPDATE item SET amount = amount + 1")
                holding.finish()
                let deadline = ContinuousClock.now + .seconds(4)
                while try connection.query(
                    "SELECT 1 AS one FROM pg_locks WHERE NOT granted AND pid = CAST($1 AS INT)", [.integer(pid)]
                ).isEmpty, ContinuousClock.now < deadline { usleep(1000) }
                try connection.execute("SELECT pg_terminate_backend(CAST($1 AS INT))", [.integer(pid)])
            }
            for await _ in held {}
            let row = try await way.query(database, "UPDATE item SET amount = amount + 1 RETURNING amount")
            _ = try await result
            #expect(try row.integer("amount") == 2)
        }
    }

    @Test(
        "is run again where the server has forgotten a prepared statement", arguments: Way.allCases,
        [nameOfProcess, "COMMIT"])
    func forgottenStatement(_ way: Way, _ sql: String) async throws {
        try await withConnection { database, _ in
            _ = try await way.query(database, Self.nameOfProcess)
            try await database.write { connection in
                // Run again without its COMMIT, it finds none.
                let rows = try connection.query(
                    "SELECT name FROM pg_prepared_statements WHERE statement = $1", [.text(sql)])
                for row in rows { try connection.execute("DEALLOCATE \"\(row.text("name"))\"") }
            }
            for _ in 0..<2 { _ = try await way.query(database, Self.nameOfProcess) }
        }
    }

    @Test("that goes on after a statement that failed leaves nothing")
    func hiddenFailure() async throws {
        try await withConnection { database, _ in
            for isFirst in [true, false] {
                let error = await #expect(throws: StorageError.self) {
                    try await database.write { connection in
                        if !isFirst { try connection.execute("INSERT INTO item VALUES ('b', 1)") }
                        _ = try? connection.execute("INSERT INTO missing VALUES (1)")
                        _ = try? connection.execute("INSERT INTO item VALUES ('c', 1)")
                    }
                }
                #expect(error?.code == .unexpected)
                let names = try await database.names
                #expect(names == ["a"])
            }
        }
    }
}
