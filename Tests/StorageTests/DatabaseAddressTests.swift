import Storage
import Testing

@Suite("The address of a database")
struct DatabaseAddressTests {
    @Test(
        "names a file",
        arguments: [("sqlite:a.sqlite", "a.sqlite"), ("sqlite:/b/c", "/b/c"), ("sqlite:a:b c", "a:b c")])
    func sqlite(_ text: String, _ path: String) throws {
        #expect(try DatabaseAddress(text) == .sqlite(path: path))
    }

    @Test(
        "is refused as anything else",
        arguments: [
            "", "sqlite", "sqlite:", "a.sqlite", "SQLITE:a", "mysql://a", " sqlite:a", "postgres://[::1/b",
            "postgresql://a?nonsense=1",
        ])
    func refused(_ text: String) {
        let error = #expect(throws: StorageError.self) { try DatabaseAddress(text) }
        #expect(error?.code == .badAddress)
    }

    @Test("names a server", arguments: ["postgres://a/b", "postgresql://u@a:1,b:2/c?sslmode=verify-full"])
    func postgreSQL(_ text: String) throws {
        #expect(try DatabaseAddress(text) == .postgreSQL(url: text))
    }

    @Test("is shown without passwords")
    func masked() throws {
        let address = try DatabaseAddress("postgres://user:swordfish@a/b?password=swordfish&sslpassword=swordfish")
        #expect(address.description == "postgres://user:***@a/b?password=***&sslpassword=***")
    }

    @Test("opens, and makes the file")
    func open() async throws {
        try await withFolder { folder in
            let database = try DatabaseAddress("sqlite:\(folder)/a.sqlite").open()
            defer { try? database.close() }
            #expect(try await database.read { try $0.query("SELECT 1 AS one")[0].integer("one") } == 1)
        }
    }
}
