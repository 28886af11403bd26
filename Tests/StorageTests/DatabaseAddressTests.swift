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
            "", "sqlite", "sqlite:", "a.sqlite", "SQLITE:a", "mysql://a", " sqlite:a", "postgres://a/b",
            "postgresql://a",
        ])
    func refused(_ text: String) {
        let error = #expect(throws: StorageError.self) { try DatabaseAddress(text) }
        #expect(error?.code == .badAddress)
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
