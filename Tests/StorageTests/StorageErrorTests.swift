import Storage
import Testing

@Suite("An error of the database")
struct StorageErrorTests {
    private static let secret = "swordfish-8f3a"

    @Test(
        "says what is wrong, and never a value of the statement",
        arguments: [
            ("INSERT INTO item (name, amount) VALUES ($1, 1)", StorageError.Code.alreadyThere),
            ("INSERT INTO item (name, amount) VALUES ($1, NULL)", .unexpected),
            ("INSERT INTO missing (name) VALUES ($1)", .unexpected),
            ("INSERT INTO checked (name) VALUES ($1)", .unexpected),
            ("INSERT INTO child (name) VALUES ($1)", .unexpected),
            ("INSERT INTO unique_pair (name, other) VALUES ($1, 'x')", .alreadyThere),
            ("SELEKT $1", .unexpected),
        ])
    func withoutValues(_ statement: String, _ code: StorageError.Code) async throws {
        try await withDatabase { database, _ in
            try await database.insert(Self.secret, 1)
            try await database.write { connection in
                try connection.execute("CREATE TABLE checked (name TEXT CHECK (length(name) < 3))")
                try connection.execute("CREATE TABLE parent (name TEXT PRIMARY KEY)")
                try connection.execute("CREATE TABLE child (name TEXT REFERENCES parent (name))")
                try connection.execute("CREATE TABLE unique_pair (name TEXT, other TEXT, UNIQUE (name, other))")
                try connection.execute(
                    "INSERT INTO unique_pair (name, other) VALUES ($1, 'x')", [.text(Self.secret)])
            }
            let error = await #expect(throws: StorageError.self) {
                try await database.write { try $0.execute(statement, [.text(Self.secret)]) }
            }
            #expect(error?.code == code)
            #expect(error?.description.contains(Self.secret) == false)
        }
    }

    @Test("that a body throws passes through as it is")
    func ownErrors() async throws {
        try await withDatabase { database, _ in
            await #expect(throws: Refusal()) { try await database.write { _ in throw Refusal() } }
            await #expect(throws: Refusal()) { try await database.read { _ in throw Refusal() } }
        }
    }

    @Test("is what a read that writes gets")
    func writingWhileReading() async throws {
        try await withDatabase { database, _ in
            await #expect(throws: StorageError.self) {
                try await database.read { try $0.execute("INSERT INTO item (name, amount) VALUES ('a', 1)") }
            }
            let names = try await database.names
            #expect(names == [])
        }
    }
}
