import Storage
import Testing

@Suite("A value in the database")
struct ValueTests {
    static let values: [SQLValue] = [
        .null, .integer(0), .integer(.max), .integer(.min), .integer(1_763_900_000_000_000), .text(""), .text("plain"),
        .text("naïve 日本 🗝️\n\t\"'"), .text("e\u{301}"), .text("\u{E9}"), .text("1"), .bytes([]), .bytes([0]),
        .bytes(Array(0...255)), .bytes(Array("text".utf8)),
    ]

    @Test("comes back as it went in", arguments: values)
    func roundTrip(_ value: SQLValue) async throws {
        try await withDatabase { database, _ in
            let row = try await database.write { connection in
                try connection.execute("CREATE TABLE anything (value \(value.columnType))")
                try connection.execute("INSERT INTO anything (value) VALUES ($1)", [value])
                return try connection.query("SELECT value FROM anything")[0]
            }
            switch value {
            case .null:
                #expect(try row.optionalText("value") == nil)
                #expect(try row.optionalInteger("value") == nil)
            case .integer(let number): #expect(try row.integer("value") == number)
            case .text(let text): #expect(try Array(row.text("value").unicodeScalars) == Array(text.unicodeScalars))
            case .bytes(let bytes): #expect(try row.bytes("value") == bytes)
            }
        }
    }

    @Test("that is an optional is null for nil")
    func optionals() {
        #expect(SQLValue.text(String?.none) == .null)
        #expect(SQLValue.text(String?.some("a")) == .text("a"))
        #expect(SQLValue.integer(Int64?.none) == .null)
        #expect(SQLValue.integer(Int64?.some(1)) == .integer(1))
    }

    @Test("with a NUL character isn't cut short but refused", arguments: ["\0", "alice\0", "alice\0bob"])
    func nul(_ text: String) async throws {
        try await withDatabase { database, _ in
            let error = await #expect(throws: StorageError.self) { try await database.insert(text, 1) }
            #expect(error?.code == .unexpected)
            let names = try await database.names
            #expect(names == [])
        }
    }

    @Test("of another type than asked for is refused")
    func wrongType() async throws {
        try await withDatabase { database, _ in
            let row = try await database.read { try $0.query("SELECT 1 AS number, 'a' AS text, NULL AS empty")[0] }
            for read in [
                { _ = try row.text("number") }, { _ = try row.bytes("text") }, { _ = try row.integer("text") },
                { _ = try row.text("empty") }, { _ = try row.integer("empty") }, { _ = try row.text("missing") },
                { _ = try row.optionalText("number") }, { _ = try row.optionalInteger("text") },
            ] as [() throws -> Void] {
                let error = #expect(throws: StorageError.self) { try read() }
                #expect(error?.code == .unexpected)
            }
        }
    }
}

extension SQLValue {
    /// The type of a column that takes it.
    fileprivate var columnType: String {
        switch self {
        case .null, .text: "TEXT"
        case .integer: "BIGINT"
        case .bytes: "BYTEA"
        }
    }
}
