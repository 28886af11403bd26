import Storage
import Testing

@Suite("A statement's parameters")
struct ParameterTests {
    @Test("are bound by number, whatever their order")
    func outOfOrder() async throws {
        try await withDatabase { database, _ in
            let row = try await database.read {
                try $0.query("SELECT $2 AS second, $1 AS first", [.text("one"), .text("two")])[0]
            }
            #expect(try row.text("first") == "one")
            #expect(try row.text("second") == "two")
        }
    }

    @Test("may be used several times")
    func repeated() async throws {
        try await withDatabase { database, _ in
            let row = try await database.read {
                try $0.query("SELECT $2 || $1 || $2 || $3 || $1 AS text", [.text("a"), .text("b"), .text("c")])[0]
            }
            #expect(try row.text("text") == "babca")
        }
    }

    @Test("may be more than nine")
    func many() async throws {
        try await withDatabase { database, _ in
            let values = (1...12).map { SQLValue.integer($0) }
            let row = try await database.read {
                try $0.query(
                    "SELECT $11 AS eleventh, $1 AS first, " + (2...10).map { "$\($0)" }.joined(separator: ", ")
                        + ", $12", values)[0]
            }
            #expect(try row.integer("eleventh") == 11)
            #expect(try row.integer("first") == 1)
        }
    }

    @Test("are bound out of order where they change rows, too")
    func inAnUpdate() async throws {
        try await withDatabase { database, _ in
            try await database.insert("a", 1)
            try await database.insert("b", 2)
            let changed = try await database.write {
                try $0.execute(
                    "UPDATE item SET amount = $2 WHERE name = $1 AND $2 <> amount", [.text("b"), .integer(7)])
            }
            #expect(changed == 1)
            let amounts = try await database.read {
                try $0.query("SELECT amount FROM item ORDER BY name").map { try $0.integer("amount") }
            }
            #expect(amounts == [1, 7])
        }
    }

    @Test(
        "that are too few are refused",
        arguments: [[], [.integer(1)]] as [[SQLValue]])
    func wrongCount(_ values: [SQLValue]) async throws {
        try await withDatabase { database, _ in
            await #expect(throws: StorageError.self) {
                try await database.read { try $0.query("SELECT $1 AS a, $2 AS b", values) }
            }
        }
    }

    @Test("keep apart what would end another statement")
    func injection() async throws {
        try await withDatabase { database, _ in
            let name = "a'); DROP TABLE item; --"
            try await database.insert(name, 1)
            #expect(try await database.names == [name])
        }
    }
}
